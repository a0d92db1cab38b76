package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestImport_Resume_IsExact kills imports at random places, many to one
// database, until one comes to the end. A record that was imported twice would
// be refused by --on-conflict error, and one that was passed over would be
// missing.
func TestImport_Resume_IsExact(t *testing.T) {
	var file, want bytes.Buffer
	const records = 20_000
	for i := range records {
		fmt.Fprintf(&file, "%06d,%d\n", i, i*i)
		fmt.Fprintf(&want, "%06d\t%d\n", i, i*i)
	}
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		db := filepath.Join(t.TempDir(), "my.db")
		kills, resumed := 0, 0
		for {
			cmd := exec.Command("lightning", "import", db, "-", "--from", "csv", "--columns", "id,n", "--key", "id", "--value", "n",
				"--on-conflict", "error", "--resume", "--batch", "300")
			var messages bytes.Buffer
			cmd.Stderr = &messages
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			n := file.Len()
			if kill := kills < 8; kill {
				n = rnd.IntN(n)
			}
			if _, err := in.Write(file.Bytes()[:n]); err != nil {
				t.Fatalf("seed %d: %v: %s", seed, err, messages.Bytes())
			}
			if n < file.Len() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				kills++
			} else {
				_ = in.Close()
				if err := cmd.Wait(); err != nil {
					t.Fatalf("seed %d: %v: %s", seed, err, messages.Bytes())
				}
			}
			if bytes.Contains(messages.Bytes(), []byte("went on behind record")) {
				resumed++
			}
			if n == file.Len() {
				break
			}
		}
		have, err := exec.Command("lightning", "scan", db).Output()
		if err != nil || !bytes.Equal(have, want.Bytes()) {
			t.Fatalf("seed %d: after %d kills the entries are others than those of one import: %v", seed, kills, err)
		}
		list, err := exec.Command("lightning", "keyspace", "list", db, "-o", "text").Output()
		if err != nil || bytes.Contains(list, []byte("lightning.import")) {
			t.Fatalf("seed %d: the progress is left behind: %s, %v", seed, list, err)
		}
		if resumed == 0 {
			t.Errorf("seed %d: no import went on where another was killed", seed)
		}
	}
}
