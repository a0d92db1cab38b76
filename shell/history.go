package shell

import (
	"bufio"
	"os"
	"strings"
)

// mostHistory is how many statements the history keeps.
const mostHistory = 10_000

// A history is the file of what was typed: one item a line, with newline in the
// place of the ends of lines in it. Only its owner may read it. Several shells
// may add to it at once.
type history struct{ file *os.File } // nil: none

// openHistory opens the file and returns what is in it, oldest first. A history
// that cannot be kept is no reason not to work: there is none then.
func openHistory(path string) (h history, items []string) {
	for i := 1; i < len(path); i++ {
		if os.IsPathSeparator(path[i]) {
			_ = os.Mkdir(path[:i], 0o700) // or it is there, or the next line says no
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return h, nil
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
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
	h.file = f
	if len(items) > mostHistory+mostHistory/10 {
		items = items[len(items)-mostHistory:]
		h.shorten(path, items)
	}
	return h, items
}

// shorten replaces the file by one that has only items.
func (h *history) shorten(path string, items []string) {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil { // another shell does it
		return
	}
	if _, err = f.WriteString(strings.Join(items, "\n") + "\n"); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		return
	}
	h.file.Close()
	h.file = f
}

func (h history) add(item string) {
	if h.file != nil {
		_, _ = h.file.WriteString(item + "\n") // one write: items of two shells do not mix
	}
}

func (h history) close() error {
	if h.file == nil {
		return nil
	}
	return h.file.Close()
}
