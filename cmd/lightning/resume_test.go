package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestImport_Resume_IsExact kills imports at random places, many to one
// database, until one comes to the end. A record that was imported twice would
// be refused by --on-conflict error, and one that was passed over would be
// missing; so would a bad one in the file for these.
func TestImport_Resume_IsExact(t *testing.T) {
	var file, want, wantRejects bytes.Buffer
	const records = 20_000
	for i := range records {
		if i%100 > 95 || i/1000 == 7 { // also many together, and the last
			fmt.Fprintf(&file, "bad %06d\n", i)
			fmt.Fprintf(&wantRejects, "bad %06d\n", i)
			continue
		}
		fmt.Fprintf(&file, "%06d,%d\n", i, i*i)
		fmt.Fprintf(&want, "%06d\t%d\n", i, i*i)
	}
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		db, rejects := filepath.Join(dir, "my.db"), filepath.Join(dir, "rejects.csv")
		kills, resumed := 0, 0
		for {
			cmd := exec.Command("lightning", "import", db, "-", "--from", "csv", "--columns", "id,n", "--key", "id", "--value", "n",
				"--on-conflict", "error", "--resume", "--batch", "300", "--rejects", rejects)
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
			if kills == 0 {
				n = 4000 // before the first commit
			}
			if _, err := in.Write(file.Bytes()[:n]); err != nil {
				t.Fatalf("seed %d: %v: %s", seed, err, messages.Bytes())
			}
			for kills == 0 {
				if info, err := os.Stat(rejects); err == nil && info.Size() > 0 {
					break
				}
			}
			if n < file.Len() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				kills++
			} else {
				_ = in.Close()
				if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitRejected {
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
		if have, err := os.ReadFile(rejects); err != nil || !bytes.Equal(have, wantRejects.Bytes()) {
			t.Fatalf("seed %d: after %d kills the bad records are others than those of one import: have %d bytes, want %d, %v", seed, kills, len(have), wantRejects.Len(), err)
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
