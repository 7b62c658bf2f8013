package mem

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// F6: a full disk takes what fits; what is freed can be used.
func TestFullDisk(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	f := create(t, p, "/f", []byte("1234"))
	d.SetSpace(3)
	n, err := f.Append([]byte("56789"), 4)
	is(t, err, syscall.ENOSPC)
	if n != 3 {
		t.Errorf("%d bytes written", n)
	}
	n, err = f.Append([]byte("x"), 7)
	is(t, err, syscall.ENOSPC)
	if n != 0 {
		t.Errorf("%d bytes written", n)
	}
	_, err = f.Rewrite([]byte("abcdefg"), 0)
	check(t, err)
	w := p.Create("/g", vfs.FailIfExists, 0o600)
	_, err = w.Write([]byte("y"))
	check(t, err)
	is(t, w.Commit(), syscall.ENOSPC)
	is(t, w.Commit(), syscall.ENOSPC) // again the same
	is(t, f.Truncate(8), syscall.ENOSPC)
	check(t, f.Truncate(6))
	_, err = f.Append([]byte("!"), 6)
	check(t, err)
	cached(t, d, "/f", "abcdef!")
	check(t, p.Remove("/f"))
	check(t, f.Close())
	create(t, p, "/g", []byte("7 bytes"))
	w = p.Create("/h", vfs.FailIfExists, 0o600)
	_, err = w.Write([]byte("y"))
	check(t, err)
	d.SetSpace(-1)
	is(t, w.Commit(), syscall.ENOSPC)
	create(t, p, "/h", make([]byte, 1000))
}

// Faults by rule: what fails, how, and how often.
func TestFaults(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	f := create(t, p, "/f", nil)
	boom := errors.New("boom")
	remove := d.Inject(Fault{Kinds: []Kind{OpAppend}, Name: "f", Process: "p", Nth: 2, Times: 2, Action: Fail(boom)})
	d.Inject(Fault{Kinds: []Kind{OpAppend}, Process: "q", Times: -1, Action: Fail(io.ErrUnexpectedEOF)})
	for i, want := range []error{nil, boom, boom, nil} {
		if _, err := f.Append([]byte("x"), int64(i)); !errors.Is(err, want) {
			t.Errorf("append %d: %v", i, err)
		}
	}
	if n := remove(); n != 2 {
		t.Errorf("applied %d times", n)
	}
	cached(t, d, "/f", "x\x00\x00x")
	check(t, f.Truncate(0))

	d.Inject(Fault{Kinds: []Kind{OpAppend}, Process: "p", Action: ShortWrite(2, syscall.EIO)})
	n, err := f.Append([]byte("abcd"), 0)
	is(t, err, syscall.EIO)
	if n != 2 {
		t.Errorf("%d bytes written", n)
	}
	cached(t, d, "/f", "ab")
	d.Inject(Fault{Kinds: []Kind{OpAppend}, Action: FailAfter(boom)})
	n, err = f.Append([]byte("cd"), 2)
	is(t, err, boom)
	if n != 2 {
		t.Errorf("%d bytes written", n)
	}
	cached(t, d, "/f", "abcd")

	d.Hook = func(op Op) Action {
		if op.Kind == OpRead {
			return ShortWrite(1, nil)
		}
		return Proceed()
	}
	_, err = f.ReadAt(make([]byte, 1), 0)
	is(t, err, io.ErrShortWrite)
	d.Hook = func(op Op) Action {
		if op.Kind == OpSize {
			return Kill()
		}
		return Proceed()
	}
	_, err = f.Size()
	is(t, err, ErrKilled)
	d.Hook = nil
	_, err = f.Stat()
	is(t, err, ErrKilled)
	q := d.Process("q").Open("/f", vfs.Append)
	for range 3 {
		_, err = q.Append(nil, 4)
		is(t, err, io.ErrUnexpectedEOF)
	}
}

// RELIABILITY 12: the nth operation fails, for n = 1, 2, ... until none does.
// Here, creating and replacing: the name leads to the old file or the new one.
func TestEveryOperationFails(t *testing.T) {
	for n := 1; ; n++ {
		d := NewDisk()
		p := d.Process("p")
		create(t, p, "/f", []byte("old"))
		remove := d.Inject(Fault{Nth: n, Action: Fail(syscall.EIO)})
		w := p.Create("/f", vfs.ReplaceIfExists, 0o600)
		_, err := w.Write([]byte("new"))
		if err == nil {
			err = w.Commit()
		} else if e := w.Commit(); e != err {
			t.Errorf("Commit forgot %v for %v", err, e)
		}
		if err == nil {
			err = p.SyncDir("/f")
			want := "new"
			cached(t, d, "/f", want)
		} else {
			cached(t, d, "/f", "old")
		}
		if fired := remove() == 1; fired != errors.Is(err, syscall.EIO) {
			t.Errorf("operation %d: fault %v, error %v", n, fired, err)
		} else if !fired {
			if n != 8 { // create write sync syncend rename syncdir syncdirend
				t.Errorf("%d operations", n-1)
			}
			return
		}
	}
}
