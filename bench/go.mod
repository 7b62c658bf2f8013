module github.com/durusdb/durus/bench

go 1.26.0

replace github.com/durusdb/durus => ..

require (
	github.com/durusdb/durus v0.0.0-00010101000000-000000000000
	github.com/tidwall/btree v1.8.1
	github.com/vmihailenco/msgpack/v5 v5.4.1
	go.etcd.io/bbolt v1.4.3
)

require (
	github.com/gofrs/flock v0.13.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
