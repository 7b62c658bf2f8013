package onsqlite

// schema: rows of what belongs together lie together, because the ids of the
// parts of a composite part follow each other.
const schema = `
CREATE TABLE IF NOT EXISTS module (
	id INTEGER PRIMARY KEY, type TEXT NOT NULL, build_date INTEGER NOT NULL,
	name TEXT NOT NULL UNIQUE, design_root INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS manual (module INTEGER PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS complex_assembly (
	id INTEGER PRIMARY KEY, type TEXT NOT NULL, build_date INTEGER NOT NULL,
	super INTEGER, module INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS complex_by_super ON complex_assembly (super);
CREATE TABLE IF NOT EXISTS base_assembly (
	id INTEGER PRIMARY KEY, type TEXT NOT NULL, build_date INTEGER NOT NULL,
	super INTEGER NOT NULL, module INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS base_by_super ON base_assembly (super);
CREATE TABLE IF NOT EXISTS private (id INTEGER PRIMARY KEY, base INTEGER NOT NULL, composite INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS private_by_base ON private (base, composite);
CREATE INDEX IF NOT EXISTS private_by_composite ON private (composite, base);
CREATE TABLE IF NOT EXISTS shared (id INTEGER PRIMARY KEY, base INTEGER NOT NULL, composite INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS shared_by_base ON shared (base, composite);
CREATE INDEX IF NOT EXISTS shared_by_composite ON shared (composite, base);
CREATE TABLE IF NOT EXISTS composite_part (
	id INTEGER PRIMARY KEY, type TEXT NOT NULL, build_date INTEGER NOT NULL, root_part INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS document (
	id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS atomic_part (
	id INTEGER PRIMARY KEY, type TEXT NOT NULL, build_date INTEGER NOT NULL,
	x INTEGER NOT NULL, y INTEGER NOT NULL, doc_id INTEGER NOT NULL, part_of INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS part_by_composite ON atomic_part (part_of);
CREATE INDEX IF NOT EXISTS part_by_date ON atomic_part (build_date);
CREATE TABLE IF NOT EXISTS connection (
	part_of INTEGER NOT NULL, from_part INTEGER NOT NULL, n INTEGER NOT NULL,
	to_part INTEGER NOT NULL, type TEXT NOT NULL, length INTEGER NOT NULL,
	PRIMARY KEY (part_of, from_part, n)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS connection_by_to ON connection (to_part);
`

// below are the complex assemblies of a module.
const below = `
WITH RECURSIVE below (id) AS (
	SELECT design_root FROM module WHERE id = ?
	UNION ALL
	SELECT a.id FROM below b JOIN complex_assembly a ON a.super = b.id)`

// The statements, by what they are for.
const (
	addModule    = "INSERT INTO module VALUES (?, ?, ?, ?, ?)"
	addManual    = "INSERT INTO manual VALUES (?, ?, ?)"
	addComplex   = "INSERT INTO complex_assembly VALUES (?, ?, ?, ?, ?)"
	addBase      = "INSERT INTO base_assembly VALUES (?, ?, ?, ?, ?)"
	addPrivate   = "INSERT INTO private (base, composite) VALUES (?, ?)"
	addShared    = "INSERT INTO shared (base, composite) VALUES (?, ?)"
	addComposite = "INSERT INTO composite_part VALUES (?, ?, ?, ?)"
	addDocument  = "INSERT INTO document VALUES (?, ?, ?)"
	addPart      = "INSERT INTO atomic_part VALUES (?, ?, ?, ?, ?, ?, ?)"
	addConn      = "INSERT INTO connection VALUES (?, ?, ?, ?, ?, ?)"

	deletePrivate   = "DELETE FROM private WHERE composite = ?"
	deleteShared    = "DELETE FROM shared WHERE composite = ?"
	deleteComposite = "DELETE FROM composite_part WHERE id = ?"
	deleteDocument  = "DELETE FROM document WHERE id = ?"
	deleteParts     = "DELETE FROM atomic_part WHERE part_of = ?"
	deleteConns     = "DELETE FROM connection WHERE part_of = ?"
	deletePart      = "DELETE FROM atomic_part WHERE id = ?"
	deleteFrom      = "DELETE FROM connection WHERE part_of = ? AND from_part = ?"
	deleteTo        = "DELETE FROM connection WHERE to_part = ?"

	visited = below + " SELECT " + compositeColumns + ` FROM below s
		JOIN base_assembly a ON a.super = s.id JOIN private u ON u.base = a.id JOIN composite_part c ON c.id = u.composite`
	rootParts = below + " SELECT " + partColumns + ` FROM below s
		JOIN base_assembly a ON a.super = s.id JOIN private u ON u.base = a.id JOIN composite_part c ON c.id = u.composite
		JOIN atomic_part p ON p.id = c.root_part`
	partsOf   = "SELECT " + partColumns + " FROM atomic_part p WHERE p.part_of = ?"
	connsOf   = "SELECT " + connColumns + " FROM connection WHERE part_of = ? ORDER BY from_part, n"
	swap      = "UPDATE atomic_part SET x = y, y = x WHERE id = ?"
	toggle    = "UPDATE atomic_part SET build_date = CASE build_date % 2 WHEN 1 THEN build_date + 1 ELSE build_date - 1 END WHERE id = ?"
	text      = "SELECT text FROM document WHERE id = ?"
	setText   = "UPDATE document SET text = ? WHERE id = ?"
	usersOf   = "SELECT DISTINCT " + baseColumns + " FROM atomic_part p JOIN private u ON u.composite = p.part_of JOIN base_assembly b ON b.id = u.base WHERE p.id = ?"
	superOf   = "SELECT super FROM complex_assembly WHERE id = ?"
	manual    = "SELECT text FROM manual WHERE module = ?"
	part      = "SELECT " + partColumns + " FROM atomic_part p WHERE p.id = ?"
	dated     = "SELECT " + partColumns + " FROM atomic_part p WHERE p.build_date BETWEEN ? AND ?"
	titled    = "SELECT " + baseColumns + " FROM document d JOIN private u ON u.composite = d.id JOIN base_assembly b ON b.id = u.base WHERE d.title = ?"
	newer     = "SELECT " + baseColumns + " FROM base_assembly b JOIN private u ON u.base = b.id JOIN composite_part c ON c.id = u.composite WHERE c.build_date > b.build_date"
	allParts  = "SELECT " + partColumns + " FROM atomic_part p"
	joined    = "SELECT " + documentColumns + " FROM atomic_part p JOIN document d ON d.id = p.doc_id"
	complexes = "SELECT id, build_date, coalesce(super, 0) FROM complex_assembly"
	newestOf  = `SELECT b.id, b.build_date, b.super, max(c.build_date) FROM base_assembly b
		JOIN private p ON p.base = b.id JOIN composite_part c ON c.id = p.composite GROUP BY b.id`

	counts      = "SELECT (SELECT count(*) FROM complex_assembly), (SELECT count(*) FROM base_assembly), (SELECT count(*) FROM composite_part), (SELECT count(*) FROM document)"
	allConns    = "SELECT from_part, to_part FROM connection"
	allPrivate  = "SELECT base, composite FROM private"
	allShared   = "SELECT base, composite FROM shared"
	allValues   = "SELECT id, x, y, build_date FROM atomic_part"
	dateIndex   = "SELECT build_date, id FROM atomic_part INDEXED BY part_by_date WHERE build_date > 0"
	textLengths = "SELECT id, length(text) FROM document"
)
