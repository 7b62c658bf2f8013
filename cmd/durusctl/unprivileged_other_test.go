//go:build !linux

package main

import "os"

// unprivileged says that it cannot.
func unprivileged() { os.Exit(77) }
