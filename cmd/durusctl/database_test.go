package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
)

// makedb is a command for the scripts: it makes databases, and breaks them.
//
//	makedb bank FILE            accounts, an owner, four transactions at known times
//	makedb unclosed FILE        the same, by a process that dies without closing it
//	makedb versions FILE N      N people without a version, N of version 2, one of 10, and a dog
//	makedb library FILE N       N books: containers, references of all kinds (library_test.go)
//	makedb empty FILE           no transaction
//	makedb zeroes FILE          10000 bytes of zero, which is no database
//	makedb odd FILE             states that do not fit what is said about them
//	makedb write FILE N         N transactions, one every 10 ms, each told on stdout; two of three met conflicts
//	makedb hold FILE            takes the commit lock, says so, and keeps it until killed
//	makedb append FILE TEXT     puts bytes behind the end
//	makedb flip FILE OFFSET     changes a byte; a negative offset counts from the end
func makedb() {
	makers := map[string]func(path, arg string) error{
		"bank":     makeBank,
		"unclosed": func(path, _ string) error { return openMaker(path).bank() },
		"versions": makeVersions,
		"rooted":   makeRooted,
		"library":  makeLibrary,
		"empty":    func(path, _ string) error { return openMaker(path).close() },
		"zeroes":   func(path, _ string) error { return os.WriteFile(path, make([]byte, 10000), 0o600) },
		"odd":      makeOdd,
		"write":    func(path, n string) error { return makeWrites(path, n, os.Stdout) },
		"hold":     holdLock,
		"append":   appendText,
		"flip":     flipByte,
	}
	args := append(os.Args[1:], "", "")
	if err := makers[args[0]](args[1], args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type account struct {
	Owner   codec.Strong
	Name    string
	Balance int64
	Tags    []string
	Limits  map[int]float64
	Photo   []byte
	Opened  time.Time
	Last    codec.Weak
}

type owner struct {
	Name string
	Mail string `msgpack:"mail,omitempty"`
}

var (
	accountPlan = plan[account]()
	ownerPlan   = plan[owner]()
)

func plan[T any]() *codec.Plan {
	p, err := codec.Compile(reflect.TypeFor[T]())
	if err != nil {
		panic(err)
	}
	return p
}

// maker writes transactions at times that the scripts know.
type maker struct {
	st  *filestorage.Storage
	now time.Time
	err error // the first one
}

func openMaker(path string) *maker {
	m := &maker{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	m.st, m.err = filestorage.Open(path, filestorage.Options{FS: posix.New(), Foreground: true, Now: func() time.Time { return m.now }})
	return m
}

func (m *maker) close() error {
	if m.err == nil {
		m.err = m.st.Close()
	}
	return m.err
}

func (m *maker) oid() (oid storage.OID) {
	if m.err == nil {
		oid, m.err = m.st.NewOID(context.Background())
	}
	return oid
}

// record encodes v, of a type that p is for.
func (m *maker) record(oid storage.OID, class string, p *codec.Plan, v any) storage.Record {
	var w codec.Writer
	if m.err == nil {
		m.err = p.Encode(&w, v, nil)
	}
	return storage.Record{OID: oid, Class: m.class(class), Codec: storage.CodecMsgpack, Payload: w.Buf, Strong: oids(w.Strong), Weak: oids(w.Weak)}
}

func (m *maker) class(name string) (id storage.ClassID) {
	if m.err == nil {
		id, m.err = m.st.ClassID(context.Background(), name)
	}
	return id
}

func oids(raw []uint64) (list []storage.OID) {
	for _, o := range raw {
		list = append(list, storage.OID(o))
	}
	return list
}

// commit writes a transaction, one second after the one before.
func (m *maker) commit(meta storage.Meta, records ...storage.Record) (tid storage.TID) {
	if m.err != nil {
		return 0
	}
	m.now = m.now.Add(time.Second)
	snap, err := m.st.Begin(context.Background(), true)
	if err != nil {
		m.err = err
		return 0
	}
	defer snap.Release()
	tid, m.err = m.st.Commit(context.Background(), &storage.Commit{Base: snap, Records: records, Meta: meta})
	return tid
}

// makeRooted makes a database whose root directory leads to some of its objects.
func makeRooted(path, _ string) error {
	m := openMaker(path)
	nothing := func(oid storage.OID, class string, refs ...storage.OID) storage.Record {
		return storage.Record{OID: oid, Class: m.class(class), Codec: storage.CodecMsgpack, Payload: refsPayload(refs), Strong: refs}
	}
	a, b, lost := m.oid(), m.oid(), m.oid()
	roots := storage.Record{OID: 1, Class: m.class("durus.Roots"), Codec: storage.CodecMsgpack, Payload: append([]byte("\x81\xa5thing"), refsPayload([]storage.OID{a})[1:]...), Strong: []storage.OID{a}}
	m.commit(storage.Meta{}, roots, nothing(a, "rooted.Thing", b), nothing(b, "rooted.Thing"), nothing(lost, "rooted.Lost"))
	for range 5 {
		m.commit(storage.Meta{}, nothing(b, "rooted.Thing"))
	}
	return m.close()
}

// refsPayload is a msgpack array of references.
func refsPayload(refs []storage.OID) []byte {
	b := []byte{0x90 | byte(len(refs))}
	for _, o := range refs {
		b = append(b, 0xd6, 1, 0, 0, 0, byte(o))
	}
	return b
}

func makeBank(path, _ string) error {
	m := openMaker(path)
	return errors.Join(m.bank(), m.close())
}

func (m *maker) bank() error {
	ada, savings, giro := m.oid(), m.oid(), m.oid()
	opened := time.Date(2020, 2, 29, 12, 0, 0, 500, time.UTC)
	m.commit(storage.Meta{User: "clerk", Description: "open the first account"},
		m.record(ada, "bank.Owner", ownerPlan, &owner{Name: "Ada"}),
		m.record(savings, "bank.Account", accountPlan, &account{Owner: codec.Strong(ada), Name: "savings", Balance: 100, Opened: opened}))
	m.commit(storage.Meta{User: "clerk", Description: "a second one\x1b[2J", Ext: map[string]string{"branch": "12"}},
		m.record(giro, "bank.Account", accountPlan, &account{
			Owner: codec.Strong(ada), Name: "giro <1>", Tags: []string{"new", "line\nbreak"}, Limits: map[int]float64{1: 0.5, 2: 1e21},
			Photo: []byte("\x89PNG"), Opened: opened, Last: codec.Weak(savings)}))
	m.commit(storage.Meta{}, m.record(savings, "bank.Account", accountPlan, &account{Owner: codec.Strong(ada), Name: "savings", Balance: 60, Opened: opened}))
	m.commit(storage.Meta{User: "ada"}, m.record(savings, "bank.Account", accountPlan, &account{Owner: codec.Strong(ada), Name: "savings", Balance: 55, Opened: opened}))
	return m.err
}

func makeVersions(path, arg string) error {
	n, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	m := openMaker(path)
	var records []storage.Record
	people := func(class string, n int) {
		for range n {
			records = append(records, m.record(m.oid(), class, ownerPlan, &owner{Name: class}))
		}
	}
	people("crm.Person", n)
	people(storage.ClassName("crm.Person", 2), n)
	people(storage.ClassName("crm.Person", 10), 1)
	people("crm.Dog", 1)
	m.commit(storage.Meta{}, records...)
	return errors.Join(m.err, m.close())
}

func makeOdd(path, _ string) error {
	m := openMaker(path)
	a, b, c, d := m.oid(), m.oid(), m.oid(), m.oid()
	full := m.record(a, "odd.Thing", accountPlan, &account{Owner: codec.Strong(d)})
	silent, talkative := full, full
	silent.Strong = nil
	talkative.OID, talkative.Weak = b, []storage.OID{d}
	m.commit(storage.Meta{}, silent, talkative,
		storage.Record{OID: c, Class: m.class("odd.Thing"), Codec: storage.CodecMsgpack, Payload: []byte{0xc1}},
		storage.Record{OID: d, Class: m.class("odd.Thing"), Codec: 9, Payload: []byte("raw")})
	return m.close()
}

func makeWrites(path, arg string, out io.Writer) error {
	n, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	m := openMaker(path)
	oid := m.oid()
	for i := range n {
		tid := m.commit(storage.Meta{User: "writer"}.WithConflicts(i%3), m.record(oid, "bank.Owner", ownerPlan, &owner{Name: strconv.Itoa(i)}))
		if m.err != nil {
			break
		}
		fmt.Fprintln(out, tid)
		time.Sleep(10 * time.Millisecond)
	}
	return m.close()
}

func holdLock(path, _ string) error {
	fsys := posix.New()
	path, err := fsys.Resolve(path)
	if err != nil {
		return err
	}
	lock := fsys.Locker(path+".lock", fsys.Open(path, vfs.Append), vfs.Append, 0o600)
	if ok, err := lock.TryLock(); err != nil || !ok {
		return errors.Join(errors.New("the lock is not free"), err)
	}
	fmt.Println("held")
	if err := os.WriteFile("held", nil, 0o600); err != nil { // scripts cannot read what still runs
		return err
	}
	select {}
}

func appendText(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func flipByte(path, arg string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	if at < 0 {
		at += len(data)
	}
	data = slices.Clone(data)
	data[at] ^= 0x40
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // the same inode
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data[at:at+1], int64(at))
	return errors.Join(err, f.Close())
}
