package filestorage

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// creators is a disk on which several processes create the same database, and
// what they were told.
type creators struct {
	disk  *mem.Disk
	acked map[storage.OID]string // object: its state, acknowledged
	err   error
}

func newCreators() *creators {
	return &creators{disk: mem.NewDisk(), acked: map[storage.OID]string{}}
}

// body is a process that opens or creates the database and commits an object
// of its own. One that the disk failed for may end with an error, if lenient.
func (c *creators) body(name string) func(p *mem.Process) {
	return func(p *mem.Process) {
		if err := c.create(p, name); err != nil && c.err == nil {
			c.err = fmt.Errorf("%s: %w", name, err)
		}
	}
}

func (c *creators) create(p *mem.Process, name string) error {
	s, err := Open(worldPath, simulated(p))
	if err != nil {
		return err
	}
	if _, err := s.ClassID(background, "create.Thing"); err != nil {
		return err
	}
	oid, err := s.NewOID(background)
	if err != nil {
		return err
	}
	if who, ok := c.acked[oid]; ok {
		return fmt.Errorf("object id %s was given to %s before", oid, who)
	}
	if _, err := edit(s, oid, "of "+name); err != nil {
		return err
	}
	c.acked[oid] = "of " + name
	return s.Close()
}

// judge opens the database on a disk, creating it if there is none: all that
// was acknowledged is there, it takes a commit and verifies.
func (c *creators) judge(d *mem.Disk) error {
	s, err := Open(worldPath, simulated(d.Process("Z")))
	if err != nil {
		return err
	}
	for oid, want := range c.acked {
		if got, err := look(s, oid); err != nil || got != want {
			return fmt.Errorf("object %s is %q, %w; want %q", oid, got, err, want)
		}
	}
	if id, err := s.ClassID(background, "create.Thing"); err != nil || id != 1 {
		return fmt.Errorf("the class has number %d, %w", id, err)
	}
	oid, err := s.NewOID(background)
	if err != nil {
		return err
	}
	if who, ok := c.acked[oid]; ok {
		return fmt.Errorf("object id %s is given again, %s has it", oid, who)
	}
	if _, err := edit(s, oid, "of Z"); err != nil {
		return err
	}
	return errors.Join(clean(s), s.Close())
}

// TestCreateTogether lets three processes create one database at the same
// moment, in many orders: one wins, and all commit to the same file.
// N6 A10 H16
func TestCreateTogether(t *testing.T) {
	seeds := 400
	if tortured() {
		seeds = 20_000
	}
	for seed := range seeds {
		c := newCreators()
		err := c.disk.Run(mem.Seeded(uint64(seed)), c.body("A"), c.body("B"), c.body("C"))
		if err == nil {
			err = c.err
		}
		if err == nil && len(c.acked) != 3 {
			err = fmt.Errorf("only %d commits", len(c.acked))
		}
		if err == nil {
			err = c.judge(c.disk)
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestCreatorKilled kills one of two creators before each of its operations, in
// several orders: the other one is not disturbed. F10 F16 N6 S25
func TestCreatorKilled(t *testing.T) {
	seeds := 6
	if tortured() {
		seeds = 200
	}
	kills := 0
	for seed := range seeds {
		for n := 1; ; n++ {
			c := newCreators()
			ops := 0
			c.disk.Hook = func(op mem.Op) mem.Action {
				if op.Process == "A" {
					if ops++; ops == n {
						return mem.Kill()
					}
				}
				return mem.Proceed()
			}
			err := c.disk.Run(mem.Seeded(uint64(seed)), c.body("A"), c.body("B"))
			c.disk.Hook = nil
			if err == nil {
				err = c.err
			}
			if err == nil {
				err = c.judge(c.disk)
			}
			if err != nil {
				t.Fatalf("seed %d, A killed before its operation %d: %v", seed, n, err)
			}
			if ops < n {
				break
			}
			kills++
		}
	}
	t.Logf("%d kills", kills)
	if kills < 100 {
		t.Fatal("the kills did not reach what they should")
	}
}

// TestPowerCutWhileCreating cuts the power before each operation of two
// creators, in all ways: an acknowledged commit is there afterwards, and
// whatever is left can be opened or created. F17 N6 D1
func TestPowerCutWhileCreating(t *testing.T) {
	seeds := 4
	if tortured() {
		seeds = 100
	}
	seen := map[[2]uint64]bool{}
	for seed := range seeds {
		c := newCreators()
		var failed error
		c.disk.Hook = func(op mem.Op) mem.Action {
			if failed != nil {
				return mem.Proceed()
			}
			for im := range c.disk.Images(mem.Options{Samples: 128, Sectors: 8}) {
				key := [2]uint64{im.Hash(), uint64(len(c.acked))}
				if seen[key] {
					continue
				}
				seen[key] = true
				if err := c.judge(im.Disk()); err != nil {
					failed = fmt.Errorf("before %v, %v: %w", op, im, err)
					break
				}
			}
			return mem.Proceed()
		}
		err := c.disk.Run(mem.Seeded(uint64(seed)), c.body("A"), c.body("B"))
		if err := errors.Join(err, c.err, failed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	t.Logf("%d states", len(seen))
	if len(seen) < 100 {
		t.Fatal("the power was not cut where it should")
	}
}

// TestHalfCreated opens what a creator of another make may leave: every length
// of a header, zeros in place of it, and nothing at all. A half header is not
// adopted: the error tells file and remedy, and the file is not touched. Half
// a file under the temporary name hinders nobody. S50 N6
func TestHalfCreated(t *testing.T) {
	im, _ := two(t)
	data, err := im.ReadFile(worldPath)
	if err != nil {
		t.Fatal(err)
	}
	for n := range headerSize {
		for _, zeros := range []bool{false, true} {
			d := mem.NewVolatile()
			part := append([]byte(nil), data[:n]...)
			if zeros {
				clear(part)
			}
			if err := d.WriteFile(worldPath, part); err != nil {
				t.Fatal(err)
			}
			_, err := Open(worldPath, simulated(d.Process("A")))
			if !errors.Is(err, storage.ErrNotDurus) && !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), worldPath) {
				t.Fatalf("%d bytes, zeros %v: %v", n, zeros, err)
			}
			if n == 0 && !strings.Contains(err.Error(), "remove it") {
				t.Fatalf("an empty file: %v", err)
			}
			if got, err := d.ReadFile(worldPath); err != nil || string(got) != string(part) {
				t.Fatalf("%d bytes: the file was changed", n)
			}
			if names := d.Names(); len(names) != 1 {
				t.Fatalf("%d bytes: %q", n, names)
			}
		}
	}
	d := mem.NewVolatile()
	if err := d.WriteFile(worldPath+".new.0123456789abcdef", data[:100]); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(worldPath, Options{FS: d.Process("A"), MustExist: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("MustExist: %v", err)
	}
	if _, err := Open(worldPath, Options{FS: d.Process("A"), ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("ReadOnly: %v", err)
	}
	c := newCreators()
	if err := c.judge(d); err != nil {
		t.Fatal(err)
	}
}
