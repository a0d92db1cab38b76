//go:build amd64 || arm64

package crash

// line is a command line that is killed. It is run in a directory of its own,
// with the database db there, and ../base beside it.
type line struct {
	name, args string
	// What it does to the database to: edits, all in one commit, where @ is the
	// large value; or an import of the rows into space, batch of them in a commit;
	// or a copy of all that db holds.
	edits []edit
	space string
	batch uint8
	copy  bool
	to    target
	done  uint8 // its exit status where it has been done before
}

// target is what a command line changes.
type target uint8

const (
	toDB     target = iota
	toNew           // the database new, which it makes
	toFile          // the file new, which it makes
	overFile        // the file new, which it replaces
)

var lines = []line{
	{name: "put", args: "put db new 1", edits: []edit{{key: "new", value: "1"}}},
	{name: "put-again", args: "put db k0001 other", edits: []edit{{key: "k0001", value: "other"}}},
	{name: "put-normal", args: "put db k0002 other --sync normal", edits: []edit{{key: "k0002", value: "other"}}},
	{name: "put-off", args: "put db k0003 other --sync off", edits: []edit{{key: "k0003", value: "other"}}},
	{name: "put-large", args: "put db big @../base/large", edits: []edit{{key: "big", value: "@"}}},
	{name: "put-if-absent", args: "put db new 1 --if-absent", edits: []edit{{key: "new", value: "1"}}, done: 1},
	{name: "put-keyspace", args: "put db new 1 -k side", edits: []edit{{space: "side", key: "new", value: "1"}}},
	{name: "put-new", args: "put new a 1", edits: []edit{{key: "a", value: "1"}}, to: toNew},
	{name: "delete", args: "delete db k0004", edits: []edit{{kind: remove, key: "k0004"}}},
	{name: "delete-several", args: "delete db k0005 nothing k0006 big --yes", edits: []edit{{kind: remove, key: "k0005"}, {kind: remove, key: "k0006"}}},
	{name: "delete-prefix", args: "delete db --prefix k00 --yes", edits: []edit{{kind: removeRange, key: "k00", value: "k01"}}},
	{name: "delete-range", args: "delete db --from k0010 --to k02 --yes", edits: []edit{{kind: removeRange, key: "k0010", value: "k02"}}},
	{name: "delete-keys", args: "delete db --keys-from ../base/keys --yes", edits: []edit{{kind: remove, key: "k0007"}, {kind: remove, key: "k0009"}}},
	{name: "delete-all", args: "delete db -k side --prefix k --yes", edits: []edit{{kind: removeRange, space: "side", key: "k", value: "l"}}},
	{name: "import", args: "import db ../base/rows.csv --key row:{id} --value name --batch 7", batch: 7},
	{name: "import-full", args: "import db ../base/rows.jsonl --sync full --batch 5", batch: 5},
	{name: "import-off", args: "import db ../base/rows.jsonl --sync off --batch 9", batch: 9},
	{name: "import-keyspace", args: "import db ../base/rows.jsonl -k side --batch 20", batch: 20, space: "side"},
	{name: "import-new", args: "import new ../base/rows.csv --key row:{id} --value name --batch 11", batch: 11, to: toNew},
	{name: "keyspace-create", args: "keyspace create db more --compression zstd", edits: []edit{{kind: create, space: "more"}}, done: 4},
	{name: "keyspace-create-new", args: "keyspace create new more", edits: []edit{{kind: create, space: "more"}}, to: toNew, done: 4},
	{name: "keyspace-drop", args: "keyspace drop db side --yes", edits: []edit{{kind: drop, space: "side"}}, done: 3},
	{name: "checkpoint", args: "checkpoint db"},
	{name: "compact", args: "compact db"},
	{name: "backup", args: "backup db new --verify", to: toFile, done: 4},
	{name: "backup-over", args: "backup db new --force", to: overFile},
	{name: "restore", args: "restore new ../base/backup", copy: true, to: toNew, done: 4},
	{name: "restore-zst", args: "restore new ../base/backup.zst", copy: true, to: toNew, done: 4},
	{name: "restore-apply", args: "restore new ../base/full --apply ../base/inc", copy: true, to: toNew, done: 4},
	{name: "repair", args: "repair db new", copy: true, to: toNew, done: 4},
	{name: "export", args: "export db new --to csv", to: toFile, done: 4},
	{name: "export-over", args: "export db new --to jsonl --force", to: overFile},
}

// steps are the contents that a database has while the line is run on it, which
// had those of before: nil is none.
func (s *victim) steps(before contents) []contents {
	all := []contents{before}
	if s.copy {
		return append(all, s.holds)
	}
	if before == nil {
		before = contents{{}}
		all = append(all, before)
	}
	edits, batch := s.edits, len(s.edits)
	if s.batch > 0 {
		edits, batch = s.rows, int(s.batch)
	}
	if batch == 1 && edits[0].value == "@" {
		edits = []edit{{key: edits[0].key, value: s.large}}
	}
	for len(edits) > 0 {
		n := min(batch, len(edits))
		before = before.with(edits[:n])
		all = append(all, before)
		edits = edits[n:]
	}
	return all
}
