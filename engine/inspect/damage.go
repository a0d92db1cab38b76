package inspect

import "fmt"

// Kinds of damage.
const (
	Checksum    = "checksum"    // bytes have changed, or were never all written
	Stale       = "stale"       // an older write stands where a newer one should
	Misdirected = "misdirected" // a whole extent of this database that belongs elsewhere
	Foreign     = "foreign"     // something whole of another database
	Structure   = "structure"   // the checksum holds and the content breaks the format
	Truncated   = "truncated"   // the file ends too early
	Order       = "order"       // keys out of order, or out of their bounds
	Count       = "count"       // a number does not tell what is there
	Space       = "space"       // a part of the file belongs to two, or to none
	Log         = "log"         // a record or segment of the log
	Missing     = "missing"     // a file that is needed is not there
	Cut         = "cut"         // records behind the end of the log, where an open cuts them off: a power cut may leave them
	IO          = "io"          // the disk does not give the bytes
	Denied      = "permission"  // the file may not be read
)

// Damage is one broken promise of docs/FORMAT.md.
type Damage struct {
	Invariant string // its number, as "L1"
	Path      string // the file
	Offset    int64  // in the file
	Kind      string
	Reason    string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%s: damaged at offset %d: %s (%s): %s", d.Path, d.Offset, d.Kind, d.Invariant, d.Reason)
}
