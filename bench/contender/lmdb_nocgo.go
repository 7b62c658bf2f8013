//go:build !cgo && !alone

package contender

const noLMDB = "built without cgo: github.com/PowerDNS/lmdb-go needs a C compiler"

func openLMDB(string, Options) (Store, error) { panic(noLMDB) }
