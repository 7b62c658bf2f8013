package oo7

import (
	"runtime"
	"time"
)

// Visit is the benchmark's DoNothing: a call that reads the id of an object.
//
//go:noinline
func Visit(id int) { runtime.KeepAlive(id) }

// Think is Visit for T1WW: it asks for the time n times.
//
//go:noinline
func Think(id, n int) {
	runtime.KeepAlive(id)
	for range n {
		runtime.KeepAlive(time.Now())
	}
}

// CountByte counts a byte in a text, byte by byte as the paper does.
func CountByte(text string, b byte) (n int) {
	for i := range len(text) {
		if text[i] == b {
			n++
		}
	}
	return n
}

// SameEnds tells whether a text ends with the byte that it begins with: 1 or 0.
func SameEnds(text string) int {
	if text != "" && text[0] == text[len(text)-1] {
		return 1
	}
	return 0
}
