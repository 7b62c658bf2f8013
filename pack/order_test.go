package pack_test

import (
	"container/list"
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkOrder compares orders in which a pack could copy a tree, by how many
// pages of 16 KiB a program misses that then reads it in different ways, with 64
// pages in memory: misses for a thousand objects. It is about orders alone, so
// it computes where objects would lie. docs/decisions/0022 has the figures.
func BenchmarkOrder(b *testing.B) {
	const n, size, page, pages = 100_000, 200, 16 << 10, 64
	for _, fan := range []int{3, 50} {
		depth, breadth := make([]int, 0, n), make([]int, n)
		var walk func(i int)
		walk = func(i int) {
			depth = append(depth, i)
			for c := i*fan + 1; c <= i*fan+fan && c < n; c++ {
				walk(c)
			}
		}
		walk(0)
		for i := range breadth {
			breadth[i] = i // so the tree is numbered
		}
		orders := map[string][]int{"depth": depth, "breadth": breadth, "as-written": rand.New(rand.NewPCG(1, 2)).Perm(n)}
		reads := map[string]func(load func(int)){
			"all-depth-first":   func(load func(int)) { each(depth, load) },
			"all-breadth-first": func(load func(int)) { each(breadth, load) },
			"paths": func(load func(int)) {
				rnd := rand.New(rand.NewPCG(3, 4))
				for range 2000 {
					var up []int
					for i := rnd.IntN(n); i > 0; i = (i - 1) / fan {
						up = append(up, i)
					}
					load(0)
					for k := len(up) - 1; k >= 0; k-- {
						load(up[k])
					}
				}
			},
			"objects-and-children": func(load func(int)) {
				rnd := rand.New(rand.NewPCG(5, 6))
				for range 2000 {
					i := rnd.IntN(n / fan)
					load(i)
					for c := i*fan + 1; c <= i*fan+fan && c < n; c++ {
						load(c)
					}
				}
			},
		}
		for order, objects := range orders {
			at := make([]int, n)
			for p, i := range objects {
				at[i] = p * size / page
			}
			for how, read := range reads {
				b.Run(fmt.Sprintf("fan=%d/%s/%s", fan, how, order), func(b *testing.B) {
					loads, misses := 0, 0
					for range b.N {
						recent, where := list.New(), map[int]*list.Element{}
						read(func(i int) {
							loads++
							p := at[i]
							if e := where[p]; e != nil {
								recent.MoveToFront(e)
								return
							}
							misses++
							where[p] = recent.PushFront(p)
							if recent.Len() > pages {
								delete(where, recent.Remove(recent.Back()).(int))
							}
						})
					}
					b.ReportMetric(float64(misses)/float64(loads)*1000, "misses")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}

func each(order []int, f func(int)) {
	for _, i := range order {
		f(i)
	}
}
