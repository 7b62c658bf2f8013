package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/durusdb/durus/vfs/vfstest"
)

func TestConformance(t *testing.T) {
	vfstest.Run(t, func(t testing.TB) vfstest.Env {
		return vfstest.Env{FS: NewStorage(), Dir: "/dir"}
	})
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	const want = `a second writer is refused
visit 1: Ann
visit 2: Ben
visit 3: Cleo
the storage holds /visits.durus
the storage holds /visits.durus.lock
the storage holds /visits.durus.lock.writer
`
	if out.String() != want {
		t.Errorf("it printed\n%s", out.String())
	}
}
