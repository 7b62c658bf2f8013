package storage

// Limits of the file format and of what a hostile file may ask for. What goes
// beyond one of them is answered with ErrTooLarge before anything is written.
const (
	// MaxOID is the greatest object id: in memory the upper 16 bits of a
	// reference tell its database.
	MaxOID OID = 1<<48 - 1
	// MaxPayload is the greatest size of one object's encoded state, in bytes.
	MaxPayload = 1 << 30
	// MaxReferences is how many references, strong and weak together, one
	// object may hold.
	MaxReferences = 1 << 26
	// MaxTransaction is the greatest size of one transaction in the file, in bytes.
	MaxTransaction = 1<<31 - 1<<16
	// MaxRecords is how many objects one transaction may write.
	MaxRecords = 1 << 26
	// MaxMeta is the greatest size of user, description and ext of a
	// transaction together, in bytes, as stored.
	MaxMeta = 1 << 20
	// MaxClasses is how many classes one database may hold.
	MaxClasses = 1 << 20
	// MaxClassName is the greatest length of a class name, in bytes.
	MaxClassName = 1024
)
