package oo7_test

import (
	"testing"

	"github.com/durusdb/durus/bench/oo7"
	"github.com/durusdb/durus/bench/oo7/ondurus"
)

// BenchmarkDurus runs each operation on a small database of durus alone, hot
// and cold, for profiles:
//
//	go test ./oo7 -run '^$' -bench 'Durus/T1/hot' -cpuprofile /tmp/t1
func BenchmarkDurus(b *testing.B) {
	config, err := oo7.ConfigNamed("small3")
	if err != nil {
		b.Fatal(err)
	}
	plan, dir := oo7.NewPlan(config), b.TempDir()
	open := func(b *testing.B) oo7.Store {
		s, err := ondurus.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	s := open(b)
	if err := oo7.Generate(s, plan); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	once := func(b *testing.B, s oo7.Store, o *oo7.Operation) {
		if o == nil {
			return
		}
		do := s.View
		if o.Writes {
			do = s.Update
		}
		if err := do(func(tx oo7.Tx) error {
			_, err := o.Run(tx, plan, oo7.Dice())
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	for _, o := range oo7.Operations() {
		b.Run(o.Name+"/hot", func(b *testing.B) {
			s := open(b)
			once(b, s, o.Before)
			once(b, s, o)
			once(b, s, o.After)
			for b.Loop() {
				once(b, s, o.Before)
				once(b, s, o)
				once(b, s, o.After)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
		b.Run(o.Name+"/cold", func(b *testing.B) {
			for b.Loop() {
				s := open(b)
				once(b, s, o.Before)
				once(b, s, o)
				once(b, s, o.After)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
