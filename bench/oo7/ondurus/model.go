package ondurus

import "github.com/durusdb/durus/durus"

// Design is embedded in all design objects.
type Design struct {
	ID        int
	Type      string
	BuildDate int
}

type AtomicPart struct {
	Design
	X, Y   int
	DocID  int
	To     []durus.Ref[Connection]
	From   []durus.Ref[Connection]
	PartOf durus.Ref[CompositePart]
}

type Connection struct {
	Type     string
	Length   int
	From, To durus.Ref[AtomicPart]
}

type CompositePart struct {
	Design
	Documentation durus.Ref[Document]
	UsedInPriv    []durus.Ref[BaseAssembly]
	UsedInShar    []durus.Ref[BaseAssembly]
	Parts         []durus.Ref[AtomicPart]
	RootPart      durus.Ref[AtomicPart]
}

type Document struct {
	Title string
	ID    int
	Text  string
	Part  durus.Ref[CompositePart]
}

type Manual struct {
	Title string
	ID    int
	Text  string
	Mod   durus.Ref[Module]
}

type ComplexAssembly struct {
	Design
	Super         durus.Ref[ComplexAssembly]
	Module        durus.Ref[Module]
	SubAssemblies []durus.AnyRef // complex or base
}

type BaseAssembly struct {
	Design
	Super          durus.Ref[ComplexAssembly]
	Module         durus.Ref[Module]
	ComponentsPriv []durus.Ref[CompositePart]
	ComponentsShar []durus.Ref[CompositePart]
}

type Module struct {
	Design
	Manual     durus.Ref[Manual]
	AllBases   []durus.Ref[BaseAssembly]
	DesignRoot durus.Ref[ComplexAssembly]
}

// dated is the key of the index of build dates.
type dated struct{ Date, ID int }

// library is the root: the indexes.
type library struct {
	Modules   durus.BTree[string, durus.Ref[Module]]
	Bases     durus.BTree[int, durus.Ref[BaseAssembly]]
	Comps     durus.BTree[int, durus.Ref[CompositePart]]
	Parts     durus.BTree[int, durus.Ref[AtomicPart]]
	Dates     durus.BTree[dated, durus.Ref[AtomicPart]]
	Titles    durus.BTree[string, durus.Ref[Document]]
	Documents durus.BTree[int, durus.Ref[Document]]
}

var (
	_    = durus.Register[AtomicPart]("oo7.AtomicPart")
	_    = durus.Register[Connection]("oo7.Connection")
	_    = durus.Register[CompositePart]("oo7.CompositePart")
	_    = durus.Register[Document]("oo7.Document")
	_    = durus.Register[Manual]("oo7.Manual")
	_    = durus.Register[ComplexAssembly]("oo7.ComplexAssembly")
	_    = durus.Register[BaseAssembly]("oo7.BaseAssembly")
	_    = durus.Register[Module]("oo7.Module")
	_    = durus.Register[library]("oo7.Library")
	root = durus.NewRoot[library]("oo7")
)
