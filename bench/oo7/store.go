package oo7

// A Contender is a database that takes part.
type Contender struct {
	Name string
	// Open opens the database in a directory, which is created if it is not there.
	Open func(dir string) (Store, error)
}

// Store is an open database. Its commits are on the disk when they return.
type Store interface {
	View(fn func(Tx) error) error
	Update(fn func(Tx) error) error
	Close() error
}

// Tx is what a transaction can do. The contenders have nothing else in common,
// so that each does it in the way of its users: by following references, by a
// query, by a cursor. Each object that the benchmark visits is handed to Visit
// (or Think), with the id that was read from it; the int that most methods
// return is the count that the benchmark defines.
//
// A module is numbered from 1.
type Tx interface {
	AddModule(m *Module) error
	// Insert adds a composite part and all that belongs to it, and adds it to
	// the base assemblies that use it.
	Insert(c *Composite, uses Uses) error
	// Delete takes a composite part away, and all that belongs to it.
	Delete(comp int) error
	// Reorganise deletes those parts of a composite part that drop tells, with
	// their connections, and makes them anew as c has them.
	Reorganise(c *Composite, drop []bool) error

	Traverse(module int, t Traversal) (int, error)    // T1, T2, T3, T6
	CountInDocuments(module int, b byte) (int, error) // T4
	// ReplaceInDocuments replaces the leading text of all documents of a
	// module that begin with old, and returns their number (T5).
	ReplaceInDocuments(module int, old, new string) (int, error)
	Upward(part int) (int, error)                  // T7
	CountInManual(module int, b byte) (int, error) // T8
	ManualEnds(module int) (int, error)            // T9

	LookUp(parts []int) (int, error)     // Q1
	Dates(lower, upper int) (int, error) // Q2, Q3: both inclusive, by the index
	Titles(titles []string) (int, error) // Q4
	NewerParts() (int, error)            // Q5
	NewerPartsBelow() (int, error)       // Q6
	ScanParts() (int, error)             // Q7
	JoinDocuments() (int, error)         // Q8

	// Census looks at everything.
	Census() (Census, error)
}

// Traversal says what to do on the way down to the atomic parts.
type Traversal struct {
	Sparse bool // only the root part of each composite part
	Update Update
	Times  int  // how often each part that is updated is updated
	Dates  bool // update the build date, which is indexed, not x and y
	Think  int  // calls of the clock at each visit
}

// Update says which parts a Traversal updates.
type Update int

// The parts that are updated.
const (
	UpdateNone Update = iota
	UpdateRoot        // one of each composite part
	UpdateAll
)

// Toggle is the new build date of an update: odd ones grow, even ones shrink.
func Toggle(date int) int {
	if date%2 == 1 {
		return date + 1
	}
	return date - 1
}
