package durus_test

import (
	"context"
	"iter"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
)

type (
	s     = durus.Session
	key   = string
	val   = int64
	btree = durus.BTree[key, val]
	dict  = durus.Dict[key, val]
	set   = durus.Set[key]
	list  = durus.List[val]
	table = durus.Table[key, Bank]
)

// The names and signatures of containers that programs are compiled against.
// This file changes only by additions.
var (
	_ func(s) (btree, error)                       = durus.NewBTree[key, val]
	_ func(btree, s, key) (val, bool, error)       = btree.Get
	_ func(btree, s, key) (bool, error)            = btree.Has
	_ func(btree, s, key, val) error               = btree.Put
	_ func(btree, s, key, val) (bool, error)       = btree.Insert
	_ func(btree, s, key) (bool, error)            = btree.Delete
	_ func(btree, s) (int, error)                  = btree.Len
	_                                              = []func(btree, s) (key, val, bool, error){btree.Min, btree.Max}
	_                                              = []func(btree, s) iter.Seq2[key, val]{btree.All, btree.Backward}
	_                                              = []func(btree, s, key) iter.Seq2[key, val]{btree.From, btree.Before}
	_ func(btree, s, key, key) iter.Seq2[key, val] = btree.Range
	_ func(btree) durus.OID                        = btree.OID

	_ func(s) (dict, error)                 = durus.NewDict[key, val]
	_ func(dict, s, key) (val, bool, error) = dict.Get
	_ func(dict, s, key) (bool, error)      = dict.Has
	_ func(dict, s, key, val) error         = dict.Put
	_ func(dict, s, key, val) (bool, error) = dict.Insert
	_ func(dict, s, key) (bool, error)      = dict.Delete
	_ func(dict, s) (int, error)            = dict.Len
	_ func(dict, s) iter.Seq2[key, val]     = dict.All
	_ func(dict) durus.OID                  = dict.OID

	_ func(s) (set, error)                 = durus.NewSet[key]
	_ func(set, s, key) error              = set.Add
	_                                      = []func(set, s, key) (bool, error){set.Has, set.Delete}
	_ func(set, s) (int, error)            = set.Len
	_                                      = []func(set, s) iter.Seq[key]{set.All, set.Backward}
	_                                      = []func(set, s, key) iter.Seq[key]{set.From, set.Before}
	_ func(set, s, key, key) iter.Seq[key] = set.Range
	_ func(set) durus.OID                  = set.OID
	_                                      = []func(s, set, set) iter.Seq[key]{durus.Union[key], durus.Intersection[key], durus.Difference[key]}

	_ func(s) (list, error)           = durus.NewList[val]
	_ func(list, s, val) error        = list.Append
	_ func(list, s, int) (val, error) = list.Get
	_                                 = []func(list, s, int, val) error{list.Set, list.Insert}
	_ func(list, s, int) error        = list.Delete
	_ func(list, s) (int, error)      = list.Len
	_                                 = []func(list, s) iter.Seq2[int, val]{list.All, list.Backward}
	_ func(list) durus.OID            = list.OID

	_ func(s) (durus.Counter, error)        = durus.NewCounter
	_ func(durus.Counter, s, int64) error   = durus.Counter.Add
	_ func(durus.Counter, s) (int64, error) = durus.Counter.Value
	_ func(durus.Counter) durus.OID         = durus.Counter.OID

	_ func(s, iter.Seq2[key, durus.Ref[Bank]]) iter.Seq2[key, *Bank] = durus.Each[key, Bank]

	_ func(int) durus.TypeOption                                           = durus.Version
	_ func(int, func(*Bank, *Bank) error) durus.TypeOption                 = durus.Upgrade[Bank, Bank]
	_ func(string) durus.TypeOption                                        = durus.Alias
	_ func(func(base, theirs, mine *Bank) (*Bank, error)) durus.TypeOption = durus.Merge[Bank]

	_ func(*durus.DB, context.Context, pack.Options) (pack.Report, error) = (*durus.DB).Pack

	// Containers are values: they may be compared, and be keys of maps.
	_ = map[btree]map[dict]map[set]map[list]map[table]map[durus.Counter]bool{}
)
