package collection

import (
	"cmp"

	"github.com/durusdb/durus/internal/codec"
)

// Hash orders the keys of a Dict: FNV-1a over the encoded key (Fowler, Noll, Vo;
// RFC 9923), with the finalizer of MurmurHash3 (Austin Appleby, public domain)
// behind it, so that keys which differ in their last byte lie far apart. It is
// part of the file format.
func Hash(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range key {
		h ^= uint64(c)
		h *= 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func compareHashed(a, b []byte) int {
	return cmp.Or(cmp.Compare(Hash(a), Hash(b)), codec.Compare(a, b))
}
