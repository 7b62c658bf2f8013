package filestorage_test

import (
	"context"
	"fmt"
	"log"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// The engine knows records and references, and no Go types: a tool of its own
// begins here.
func Example() {
	ctx := context.Background()
	st, err := filestorage.Open("/x.durus", filestorage.Options{FS: mem.NewVolatile().Process("tool")})
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()

	class, err := st.ClassID(ctx, "tool.Note")
	if err != nil {
		log.Fatal(err)
	}
	oid, err := st.NewOID(ctx)
	if err != nil {
		log.Fatal(err)
	}
	base, err := st.Begin(ctx, true)
	if err != nil {
		log.Fatal(err)
	}
	defer base.Release()
	_, err = st.Commit(ctx, &storage.Commit{
		Base:    base,
		Records: []storage.Record{{OID: oid, Class: class, Payload: []byte("\xa5hello")}}, // msgpack
		Meta:    storage.Meta{User: "me"},
	})
	if err != nil {
		log.Fatal(err)
	}

	snap, err := st.Begin(ctx, false)
	if err != nil {
		log.Fatal(err)
	}
	defer snap.Release()
	for place, err := range snap.Objects(0) {
		if err != nil {
			log.Fatal(err)
		}
		record, err := snap.Read(place.OID, place.Position)
		if err != nil {
			log.Fatal(err)
		}
		name, _ := snap.ClassName(record.Class)
		fmt.Printf("%s: %q\n", name, record.Payload)
	}
	report, err := st.Verify(ctx, nil)
	fmt.Println(len(report.Problems), "problems,", err)
	// Output:
	// tool.Note: "\xa5hello"
	// 0 problems, <nil>
}
