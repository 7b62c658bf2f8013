package posix

import "golang.org/x/sys/unix"

// remoteTypes are the f_type values, as in linux/magic.h and the sources of
// the file systems, of those that another machine can write to.
var remoteTypes = map[uint32]string{
	0x00006969: "nfs",
	0x0000517b: "smb",
	0xff534d42: "cifs",
	0xfe534d42: "smb2",
	0x01021997: "9p",
	0x5346414f: "afs",
	0x6b414653: "afs", // the kernel's own
	0x73757245: "coda",
	0x00c36400: "ceph",
	0x65735546: "fuse",
	0x0000564c: "ncp",
	0x01161970: "gfs2",
	0x7461636f: "ocfs2",
	0x0bd00bd0: "lustre",
	0x786f4256: "vboxsf",
	0xbacbacbc: "vmhgfs",
	0x47504653: "gpfs",
	0x19830326: "beegfs",
	0x20030528: "orangefs",
}

// remoteAt asks for the file system of a name.
func remoteAt(name string) (remote bool, kind string, err error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(name, &st) }); err != nil {
		return false, "", err
	}
	// The field is signed and wider on some machines; the number has 32 bits.
	kind, remote = remoteTypes[uint32(st.Type)]
	return remote, kind, nil
}
