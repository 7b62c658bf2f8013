package oo7

import "fmt"

// Config is the size of a database.
type Config struct {
	Name         string
	PartsPerComp int // atomic parts of a composite part
	ConnsPerPart int // connections that leave an atomic part
	DocumentSize int // bytes
	ManualSize   int // bytes
	CompsPerMod  int // composite parts of a module
	Fanout       int // assemblies below a complex assembly
	Levels       int // of assemblies; the last one holds base assemblies
	CompsPerBase int // private, and as many shared, composite parts of a base assembly
	Modules      int
}

// Configs are the databases of the paper, and tiny, which tests use.
var Configs = []Config{
	{"tiny", 5, 3, 200, 1_000, 20, 3, 3, 3, 2},
	small(3), small(6), small(9),
	medium(3), medium(6), medium(9),
}

func small(conns int) Config {
	return Config{fmt.Sprint("small", conns), 20, conns, 2_000, 100_000, 500, 3, 7, 3, 1}
}

func medium(conns int) Config {
	return Config{fmt.Sprint("medium", conns), 200, conns, 20_000, 1_000_000, 500, 3, 7, 3, 1}
}

// ConfigNamed finds one of Configs.
func ConfigNamed(name string) (Config, error) {
	for _, c := range Configs {
		if c.Name == name {
			return c, nil
		}
	}
	return Config{}, fmt.Errorf("oo7: no configuration is called %q: use small3, small6, small9, medium3, medium6, medium9 or tiny", name)
}

// Comps is the number of composite parts that are generated.
func (c Config) Comps() int { return c.CompsPerMod * c.Modules }

// Parts is the number of atomic parts that are generated.
func (c Config) Parts() int { return c.Comps() * c.PartsPerComp }

// BasesPerModule is the number of base assemblies of a module.
func (c Config) BasesPerModule() int {
	n := 1
	for range c.Levels - 1 {
		n *= c.Fanout
	}
	return n
}

// Constants of the benchmark and of its generator, as in the authors' source.
const (
	updateRepeat = 4  // swaps of a part in T2c and T3c
	queryRepeat  = 10 // look-ups of Q1 and Q4
	newComps     = 10 // composite parts of Insert
	newCompUses  = 10 // base assemblies that each of them is added to
	types        = 10
	xyRange      = 100_000
	minDate      = 1000 // of modules, assemblies and atomic parts
	maxDate      = 1999
)
