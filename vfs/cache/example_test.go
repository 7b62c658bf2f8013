package cache_test

import (
	"fmt"
	"log"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/vfs/async"
	"github.com/durusdb/durus/vfs/cache"
	"github.com/durusdb/durus/vfs/posix"
)

// Wrappers compose: a cache over calls that overlap, over real files.
func Example() {
	fs := cache.New(async.New(posix.New(), async.Options{}), cache.Options{Bytes: 16 << 20})
	_, err := durus.Open("no-such-file.durus", &durus.Options{FS: fs, MustExist: true})
	if err == nil {
		log.Fatal("it is there")
	}
	fmt.Println("opened nothing, cached", fs.Stats().Pages, "pages")
	// Output: opened nothing, cached 0 pages
}
