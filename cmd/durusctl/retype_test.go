package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/durusdb/durus/storage"
)

// retype while others write the same objects: nothing is lost, and every
// object has the new class in the end.
func TestRetypeWhileOthersWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	if err := makeVersions(path, "2000"); err != nil {
		t.Fatal(err)
	}
	st, err := openToWrite(path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ctx := context.Background()
	before := names(t, st)

	// Each write leaves the class as it finds it.
	stop, done := make(chan struct{}), make(chan error)
	written := map[storage.OID]string{}
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			snap, err := st.Begin(ctx, true)
			if err != nil {
				done <- err
				return
			}
			oid := storage.OID(2 + i*37%4000)
			pos, err := snap.Find(oid)
			var rec storage.Record
			if err == nil {
				rec, err = snap.Read(oid, pos)
			}
			if err == nil {
				rec.Payload = append([]byte{0x91}, rec.Payload...) // in an array
				_, err = st.Commit(ctx, &storage.Commit{Base: snap, Records: []storage.Record{rec}})
			}
			snap.Release()
			switch {
			case err == nil:
				written[oid] = string(rec.Payload)
			case !errors.Is(err, storage.ErrConflict):
				done <- err
				return
			}
		}
	}()
	var out, notes bytes.Buffer
	if code := run(ctx, []string{"retype", path, "crm.Person", "crm.Human"}, &out, &notes); code != 0 {
		t.Fatalf("exit %d: %s", code, notes.String())
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(written) == 0 {
		t.Fatal("nobody else wrote")
	}
	after := names(t, st)
	if len(after) != len(before) {
		t.Errorf("%d objects became %d", len(before), len(after))
	}
	for oid, was := range before {
		name, version := storage.SplitClass(was.class)
		if name == "crm.Person" {
			name = "crm.Human"
		}
		if p, ok := written[oid]; ok {
			was.payload = p
		}
		if now := after[oid]; now.class != storage.ClassName(name, version) || now.payload != was.payload {
			t.Errorf("object %s: %q became %q", oid, was, now)
		}
	}
}

type named struct{ class, payload string }

// names reads all objects.
func names(t *testing.T, st storage.Storage) map[storage.OID]named {
	t.Helper()
	snap, err := st.Begin(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	all := map[storage.OID]named{}
	for p, err := range snap.Objects(0) {
		if err != nil {
			t.Fatal(err)
		}
		rec, err := snap.Read(p.OID, p.Position)
		if err != nil {
			t.Fatal(err)
		}
		class, _ := snap.ClassName(rec.Class)
		all[p.OID] = named{class, string(rec.Payload)}
	}
	return all
}
