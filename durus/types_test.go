package durus

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func TestRegister(t *testing.T) {
	type plain struct{ A int }
	type node struct{ Next *node }
	type holder struct{ P []*plain }
	type byValue struct{ P plain }
	type hidden struct {
		p *plain
		A int
	}
	_ = hidden{}.p
	type skipped struct {
		P *plain `msgpack:"-"`
		A int
	}
	type badField struct{ Hook func() }

	for _, c := range []struct {
		name string
		do   func(ts *Types)
		want []string // words of the panic; none: it must succeed
	}{
		{"again", func(ts *Types) { RegisterIn[plain](ts, "t.Plain") }, nil},
		{"two names", func(ts *Types) { RegisterIn[plain](ts, "t.Other") }, []string{"plain", "t.Plain", "Alias"}},
		{"name taken", func(ts *Types) { RegisterIn[byValue](ts, "t.Plain") }, []string{"t.Plain", "used by"}},
		{"alias taken", func(ts *Types) { RegisterIn[byValue](ts, "t.New", Alias("t.Plain")) }, []string{"t.Plain", "used by"}},
		{"self pointer", func(ts *Types) { RegisterIn[node](ts, "t.Node") }, []string{"Next", "durus.Ref[node]"}},
		{"pointer", func(ts *Types) { RegisterIn[holder](ts, "t.Holder") }, []string{"P[]", "durus.Ref[plain]"}},
		{"by value", func(ts *Types) { RegisterIn[byValue](ts, "t.ByValue") }, nil},
		{"unexported", func(ts *Types) { RegisterIn[hidden](ts, "t.Hidden") }, nil},
		{"not stored", func(ts *Types) { RegisterIn[skipped](ts, "t.Skipped") }, nil},
		{"field", func(ts *Types) { RegisterIn[badField](ts, "t.Bad") }, []string{"Hook", "func"}},
		{"empty name", func(ts *Types) { RegisterIn[byValue](ts, "") }, []string{"name"}},
		{"long name", func(ts *Types) { RegisterIn[byValue](ts, strings.Repeat("x", 2000)) }, []string{"name"}},
		{"our name", func(ts *Types) { RegisterIn[byValue](ts, "durus.X") }, []string{"durus."}},
		{"no struct", func(ts *Types) { RegisterIn[int](ts, "t.Int") }, []string{"struct"}},
		{"pointer type", func(ts *Types) { RegisterIn[*plain](ts, "t.P") }, []string{"struct"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts := NewTypes()
			if typ := RegisterIn[plain](ts, "t.Plain"); typ.Name() != "t.Plain" || typ.String() != "t.Plain" || typ.GoType() != reflect.TypeFor[plain]() {
				t.Errorf("got %v, %v", typ, typ.GoType())
			}
			defer func() {
				got := recover()
				if (got != nil) != (c.want != nil) {
					t.Fatalf("panic %v", got)
				}
				for _, word := range c.want {
					if !strings.Contains(fmt.Sprint(got), word) {
						t.Errorf("%v does not say %q", got, word)
					}
				}
			}()
			c.do(ts)
		})
	}

	// The order of registration does not matter.
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "durus.Ref[plain]") {
			t.Errorf("got %s", got)
		}
	}()
	ts := NewTypes()
	RegisterIn[holder](ts, "t.Holder")
	RegisterIn[plain](ts, "t.Plain")
}

// Register and loads may run at once.
func TestRegisterConcurrently(t *testing.T) {
	type one struct{ A int }
	type two struct{ A int }
	ts := NewTypes()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			RegisterIn[one](ts, "c.One")
			RegisterIn[two](ts, "c.Two")
			if ts.byClass("c.One").goType != reflect.TypeFor[one]() || ts.of(reflect.TypeFor[two]()).name != "c.Two" {
				t.Error("mixed up")
			}
		})
	}
	wg.Wait()
}
