package onbolt

import "encoding/binary"

// Design is embedded in all design objects.
type Design struct {
	ID        int
	Type      string
	BuildDate int
}

type atomicPart struct {
	Design
	X, Y   int
	DocID  int
	From   []int // the parts whose connections lead here; those that leave follow from the key
	PartOf int
}

type connection struct {
	Type     string
	Length   int
	From, To int
}

type compositePart struct {
	Design
	UsedInPriv []int
	UsedInShar []int
	Parts      []int
	RootPart   int
}

type document struct {
	Title string
	ID    int // of its composite part
	Text  string
}

type manual struct {
	Title string
	ID    int
	Text  string
}

type complexAssembly struct {
	Design
	Super, Module int
	Complex, Base []int
}

type baseAssembly struct {
	Design
	Super, Module  int
	ComponentsPriv []int
	ComponentsShar []int
}

type module struct {
	Design
	AllBases   []int
	DesignRoot int
}

// The buckets: of the classes, by id, and of the indexes, whose values are ids.
var (
	modules    = []byte("modules")
	manuals    = []byte("manuals")
	complexes  = []byte("complex assemblies")
	bases      = []byte("base assemblies")
	composites = []byte("composite parts")
	documents  = []byte("documents")
	parts      = []byte("atomic parts")
	conns      = []byte("connections") // by from, then a number

	moduleNames = []byte("modules by name")
	titles      = []byte("documents by title")
	dates       = []byte("atomic parts by date") // by date, then id; no value
)

var buckets = [][]byte{modules, manuals, complexes, bases, composites, documents, parts, conns, moduleNames, titles, dates}

// key is a key that sorts as its numbers do.
func key(ids ...int) []byte {
	k := make([]byte, 0, 16)
	for _, id := range ids {
		k = binary.BigEndian.AppendUint64(k, uint64(id))
	}
	return k
}

// number is the i-th number of a key.
func number(k []byte, i int) int { return int(binary.BigEndian.Uint64(k[8*i:])) }
