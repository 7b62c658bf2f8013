//go:build linux

package durus

import (
	"syscall"
	"testing"
	"unsafe"
)

// A byte slice may lie in a mapped file, of which the garbage collector knows
// nothing. The object stays in memory.
func TestMappedMemoryStays(t *testing.T) {
	mapped, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Munmap(mapped); err != nil {
			t.Error(err)
		}
	}()
	probe := newHeapProbe()
	if probe.list == nil {
		t.Error("the probe does not know runtime.Pinner any more: large transactions stay in memory")
	}
	if probe.has(unsafe.Pointer(&mapped[7])) || probe.has(unsafe.Pointer(&notHeap[3])) || !probe.has(unsafe.Pointer(&make([]int, 100)[50])) {
		t.Error("the probe takes one memory for the other")
	}
	probe.release()

	db := beds["memory"](t).smallDB()
	var ref Ref[large]
	update(t, db, func(tx *Tx) error {
		ref = Must(Add(tx, &large{Name: "mapped", Bytes: mapped[100:200]}))
		Must(thePile.Edit(tx)).All = []Ref[large]{ref}
		for i := range 100 {
			_ = Must(Add(tx, newLarge(i)))
		}
		mapped[150] = 7
		return nil
	})
	view(t, db, func(tx *Tx) error {
		if v := Must(ref.Load(tx)); len(v.Bytes) != 100 || v.Bytes[50] != 7 {
			t.Errorf("got %+v", v)
		}
		return nil
	})
}
