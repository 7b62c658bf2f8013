//go:build !cgo && !alone

package contender

const noCgoSQLite = "built without cgo: github.com/mattn/go-sqlite3 needs a C compiler"

func openCgoSQLite(string, Options) (Store, error) { panic(noCgoSQLite) }
