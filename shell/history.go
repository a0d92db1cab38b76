package shell

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// mostHistory is how many statements the history keeps.
const mostHistory = 10_000

// A history is the path of the file of what was typed: one item a line, with
// newline in the place of the ends of lines in it. Only its owner may read it.
// Several shells may add to it at once. "" is none.
type history string

// openHistory makes the file where there is none, and returns what is in it,
// oldest first. A history that cannot be kept is no reason not to work: there is
// none then.
func openHistory(path string) (h history, items []string) {
	for i := 1; i < len(path); i++ {
		if os.IsPathSeparator(path[i]) {
			_ = os.Mkdir(path[:i], 0o700) // or it is there, or the next line says no
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return "", nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", nil // a FIFO would be waited for
	}
	if info.Mode().Perm()&0o077 != 0 {
		_ = f.Chmod(0o600) // others could read it
	}
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			items = append(items, line)
		}
		if err != nil {
			break
		}
	}
	if len(items) > mostHistory+mostHistory/10 {
		items = items[len(items)-mostHistory:]
		shortenHistory(path, items)
	}
	return history(path), items
}

// shortenHistory replaces the file by one that has only items. If it cannot, the
// file stays as it is.
func shortenHistory(path string, items []string) {
	f, err := os.CreateTemp(filepath.Dir(path), "history") // another shell may do it, too
	if err != nil {
		return
	}
	_, err = f.WriteString(strings.Join(items, "\n") + "\n")
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil || os.Rename(f.Name(), path) != nil {
		os.Remove(f.Name())
	}
}

// add opens the file anew: another shell may have replaced it.
func (h history) add(item string) {
	f, err := os.OpenFile(string(h), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	_, _ = f.WriteString(item + "\n") // one write: items of two shells do not mix
	f.Close()
}
