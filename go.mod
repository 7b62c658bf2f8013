module github.com/durusdb/durus

go 1.26
