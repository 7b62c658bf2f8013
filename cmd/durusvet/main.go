// Durusvet finds writes to objects that belong to everybody. It is a tool for
// go vet:
//
//	go install github.com/durusdb/durus/cmd/durusvet@latest
//	go vet -vettool=$(which durusvet) ./...
//
// What it looks for, and what it cannot see, is told in package sharedwrite. It
// is a module of its own, so that programs which use durus need nothing of it.
package main

import (
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/durusdb/durus/cmd/durusvet/sharedwrite"
)

func main() { unitchecker.Main(sharedwrite.Analyzer) }
