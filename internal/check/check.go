package check

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// Payload says what is wrong with the state of an object: it must be what
// its codec says, and refer to exactly those objects that the record lists
// for those who cannot read it.
func Payload(rec *storage.Record) string {
	if rec.Codec != storage.CodecMsgpack {
		return fmt.Sprintf("its codec is %d, which this program does not know", rec.Codec)
	}
	var strong, weak []storage.OID
	err := codec.References(rec.Payload, func(oid uint64, isWeak bool) {
		if isWeak {
			weak = append(weak, storage.OID(oid))
		} else {
			strong = append(strong, storage.OID(oid))
		}
	})
	if err != nil {
		return err.Error()
	}
	if s := compareReferences(strong, rec.Strong); s != "" {
		return s
	}
	return compareReferences(weak, rec.Weak)
}

// compareReferences holds what a payload refers to, in any number, against the
// list of its record.
func compareReferences(found, listed []storage.OID) string {
	if slices.Equal(found, listed) {
		return ""
	}
	slices.Sort(found)
	found = slices.Compact(found)
	listed = slices.Compact(slices.Sorted(slices.Values(listed)))
	for _, oid := range found {
		if _, ok := slices.BinarySearch(listed, oid); !ok {
			return fmt.Sprintf("its state refers to object %s, the references listed with it do not", oid)
		}
	}
	for _, oid := range listed {
		if _, ok := slices.BinarySearch(found, oid); !ok {
			return fmt.Sprintf("object %s is listed among its references, its state does not refer to it", oid)
		}
	}
	return ""
}

// Containers counts the containers of a state in a report, and adds what is wrong
// with them. What cannot be read is in the report already.
func Containers(ctx context.Context, snap storage.Snapshot, r *storage.VerifyReport) error {
	for place, err := range snap.Objects(1) {
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, storage.ErrCorrupt) {
			return nil
		}
		if err != nil {
			return err
		}
		id, err := snap.Class(place.OID, place.Position)
		if err != nil {
			continue
		}
		class, _ := snap.ClassName(id)
		if !collection.IsHead(class) {
			continue
		}
		r.Containers++
		_, err = collection.Check(collection.In(snap), uint64(place.OID), class)
		var known *storage.CorruptError
		if errors.Is(err, storage.ErrCorrupt) && !errors.As(err, &known) {
			r.Add(storage.Problem{Offset: int64(place.Position), OID: place.OID, Reason: err.Error()})
		} else if err != nil && known == nil {
			return err
		}
	}
	return nil
}
