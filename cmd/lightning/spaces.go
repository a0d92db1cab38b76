package main

import "github.com/lightning-db/lightning/engine"

// A space is a keyspace as of one moment.
type space struct {
	_       [0]func() // not compared
	name    string    // none with -k: what is said of it is to be true of any other
	info    *engine.KeyspaceInfo
	entries engine.Reader
}

// moment opens a database for reading and calls fn with its keyspaces, the
// default one first, or the one that -k names, as of one moment: that of the
// transaction, in a shell that has one open.
func (a *app) moment(arg string, fn func(*engine.DB, []space) error) error {
	h := a.session.of(arg)
	return a.read(arg, func(db *engine.DB, _ *engine.Keyspace) error {
		var in func(*engine.Keyspace) engine.Reader
		if h != nil && h.tx != nil {
			in = func(ks *engine.Keyspace) engine.Reader { return h.tx.In(ks) }
		} else {
			s, err := db.Snapshot()
			if err != nil {
				return err
			}
			defer s.Close()
			in = func(ks *engine.Keyspace) engine.Reader { return s.In(ks) }
		}
		infos, err := db.Keyspaces()
		var spaces []space
		for i := range infos {
			one := space{name: infos[i].Name, info: &infos[i]}
			ks, err := db.Keyspace(infos[i].Name)
			if err != nil {
				return err
			}
			one.entries = in(ks)
			spaces = append(spaces, one)
		}
		if err != nil {
			return err
		}
		if a.oneSpace {
			spaces = only(spaces, a.keyspace)
		}
		return fn(db, spaces)
	})
}

// only returns the keyspace of a name, if it is there.
//
//go:noinline // called in three places, none of them hot
func only(spaces []space, name string) []space {
	for i := range spaces {
		if spaces[i].name == name {
			spaces[i].name = ""
			return spaces[i : i+1]
		}
	}
	return nil
}
