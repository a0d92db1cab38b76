package main

import (
	"debug/dwarf"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A frame is a function, and the place in it that runs. One that was copied into
// the next has no offset.
var (
	function = regexp.MustCompile(`^(created by )?(.+?)(\(\)|\(\.\.\.\)| in goroutine \d+)?$`)
	place    = regexp.MustCompile(`^\t\?:0(?: \+0x([0-9a-f]+))?`)
)

// explain puts names, files and lines into the stack trace of a program that has
// none, and the functions that were copied into others, by a program that Go
// linked from the same sources. What it does not find stays as it is.
func explain(trace, program string) (string, error) {
	symbols, err := exec.Command("go", "tool", "nm", program).Output()
	if err != nil {
		return "", fmt.Errorf("go tool nm %s: %w", program, err)
	}
	entries := map[string]uint64{}
	for line := range strings.Lines(string(symbols)) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(fields) != 3 {
			continue
		}
		name := strings.TrimSuffix(fields[2], ".abi0") // assembly: name alone is how Go calls it
		if at, err := strconv.ParseUint(fields[0], 16, 64); err == nil && (entries[name] == 0 || name != fields[2]) {
			entries[name], entries[shortName(name)] = at, at
		}
	}
	entries["panic"] = entries["runtime.gopanic"] // it is called so in a trace
	data, err := debugData(program)
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}

	lines := strings.Split(trace, "\n")
	explained, copied := []string{}, []string{}
	for i := 0; i < len(lines); i++ {
		if i+1 == len(lines) || !place.MatchString(lines[i+1]) {
			explained = append(explained, lines[i])
			continue
		}
		frame := lines[i : i+2]
		i++
		what, where := function.FindStringSubmatch(frame[0]), place.FindStringSubmatch(frame[1])
		if what[3] == "(...)" && where[1] == "" {
			copied = append(copied, frame...) // what it was copied into tells it, too
			continue
		}
		offset, _ := strconv.ParseUint(where[1], 16, 32)
		calls := []call{}
		if entry, ok := entries[what[2]]; ok {
			calls = callsAt(data, entry+max(offset, 1)-1) // the call, not where it returns to
		}
		if len(calls) == 0 {
			explained = append(append(explained, copied...), frame...)
		}
		for n, c := range calls {
			if n < len(calls)-1 {
				if what[1] == "" {
					explained = append(explained, c.function+"(...)", "\t"+c.place)
				}
				continue
			}
			if what[2] == "panic" {
				c.function = what[2]
			}
			explained = append(explained, what[1]+c.function+what[3], "\t"+c.place+strings.TrimPrefix(frame[1], "\t?:0"))
		}
		copied = nil
	}
	return strings.Join(explained, "\n"), nil
}

// debugData returns what a program of any platform says of its sources.
func debugData(program string) (*dwarf.Data, error) {
	elfFile, elfErr := elf.Open(program)
	if elfErr == nil {
		defer elfFile.Close()
		return elfFile.DWARF()
	}
	machoFile, machoErr := macho.Open(program)
	if machoErr == nil {
		defer machoFile.Close()
		return machoFile.DWARF()
	}
	peFile, peErr := pe.Open(program)
	if peErr == nil {
		defer peFile.Close()
		return peFile.DWARF()
	}
	return nil, errors.Join(elfErr, machoErr, peErr)
}

// A call is a function that runs, and the file and line in it that do.
type call struct{ function, place string }

// callsAt returns the functions that run at an address, each copied into the one
// that follows, but the last; none where nothing is known.
func callsAt(data *dwarf.Data, pc uint64) []call {
	entries := data.Reader()
	unit, err := entries.SeekPC(pc)
	if err != nil {
		return nil
	}
	table, err := data.LineReader(unit)
	if err != nil || table == nil {
		return nil
	}
	var innermost dwarf.LineEntry
	if err := table.SeekPC(pc, &innermost); err != nil {
		return nil
	}
	calls := []call{}
	for {
		entry, err := entries.Next()
		if err != nil || entry == nil || entry.Tag == dwarf.TagCompileUnit || entry.Tag == dwarf.TagSubprogram && len(calls) > 0 {
			break
		}
		if entry.Tag == 0 {
			continue
		}
		if !covers(data, entry, pc) {
			entries.SkipChildren()
			continue
		}
		if entry.Tag == dwarf.TagInlinedSubroutine {
			file, _ := entry.Val(dwarf.AttrCallFile).(int64)
			line, _ := entry.Val(dwarf.AttrCallLine).(int64)
			if files := table.Files(); file < int64(len(files)) && files[file] != nil {
				calls[0].place = fmt.Sprintf("%s:%d", files[file].Name, line)
			}
		}
		if entry.Tag != dwarf.TagLexDwarfBlock {
			calls = slices.Insert(calls, 0, call{nameOf(data, entry), "?:0"})
		}
	}
	if len(calls) > 0 {
		calls[0].place = fmt.Sprintf("%s:%d", innermost.File.Name, innermost.Line)
	}
	return calls
}

// covers tells whether an address is in a function, or a part of one.
func covers(data *dwarf.Data, entry *dwarf.Entry, pc uint64) bool {
	ranges, err := data.Ranges(entry)
	return err == nil && slices.ContainsFunc(ranges, func(r [2]uint64) bool { return r[0] <= pc && pc < r[1] })
}

// nameOf returns the name of a function, which is with its original if it was
// copied.
func nameOf(data *dwarf.Data, entry *dwarf.Entry) string {
	if origin, ok := entry.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok {
		entries := data.Reader()
		entries.Seek(origin)
		if original, err := entries.Next(); err == nil && original != nil {
			entry = original
		}
	}
	name, _ := entry.Val(dwarf.AttrName).(string)
	return name
}
