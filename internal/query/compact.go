package query

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"github.com/lightning-db/lightning/internal/dump"
)

// appendCompact appends the valid JSON that begins at text[i], or behind space
// there, as jq writes it into a string: without space, strings with no more escapes
// than they need, numbers as they stand, and of the members with one name the last,
// in the place of the first. For a group it is the same for equal values: strings and
// numbers are as of groups, members in the order of their names. It returns where the
// value ends.
func appendCompact(dst, text []byte, i int, group bool) ([]byte, int) {
	i = dump.Space(text, i)
	in := text[i]
	if in != '[' && in != '{' {
		end := dump.ValueEnd(text, i, 0)
		d := datumOf(text[i:end])
		switch {
		case group:
			return d.appendGroup(dst), end
		case d.kind == str:
			var scratch []byte
			return appendQuoted(dst, d.string(&scratch)), end
		}
		return d.appendJSON(dst, false), end
	}
	dst = append(dst, in)
	begin := len(dst)
	var parts []span // of dst: the members
	for i = dump.Space(text, i+1); text[i] != in+2; i = dump.Space(text, i) {
		if text[i] == ',' {
			dst = append(dst, ',')
			i++
		}
		if in == '{' {
			parts = append(parts, span{begin: int32(len(dst))})
			dst, i = appendCompact(dst, text, i, group)
			dst = append(dst, ':')
			i = dump.Space(text, i) + 1
		}
		if dst, i = appendCompact(dst, text, i, group); in == '{' {
			parts[len(parts)-1].end = int32(len(dst))
		}
	}
	if len(parts) > 1 {
		dst = lastOfEach(dst, begin, parts, group)
	}
	return append(dst, in+2), i + 1
}

// lastOfEach rewrites the members of an object, which are parts of dst from begin
// on, so that of several with one name the last is there, in the place of the first;
// or, in order, in that of its name.
func lastOfEach(dst []byte, begin int, parts []span, inOrder bool) []byte {
	sorted := make([]member, len(parts))
	for i, part := range parts {
		from := int(part.begin)
		end, _ := dump.StringEnd(dst, from+1)
		sorted[i] = member{dst[from:end], from, int(part.end)}
	}
	sort.Sort(byName(sorted))
	same := func(i int) bool { return i+1 < len(sorted) && bytes.Equal(sorted[i].name, sorted[i+1].name) }
	asItIs := true
	for i := range sorted {
		asItIs = asItIs && !same(i) && (!inOrder || sorted[i].begin == int(parts[i].begin))
	}
	if asItIs {
		return dst
	}
	// Behind what is there, and then to its place: the names are in it.
	behind := len(dst)
	for i, part := range parts {
		if inOrder && same(i) {
			continue
		}
		if !inOrder {
			from := int(part.begin)
			end, _ := dump.StringEnd(dst, from+1)
			i = sort.Search(len(sorted), func(i int) bool { return bytes.Compare(sorted[i].name, dst[from:end]) >= 0 })
			if sorted[i].begin != from {
				continue
			}
			for same(i) {
				i++
			}
		}
		if len(dst) > behind {
			dst = append(dst, ',')
		}
		dst = append(dst, dst[sorted[i].begin:sorted[i].end]...)
	}
	return append(dst[:begin], dst[behind:]...)
}

// appendQuoted appends a string in quotes, with the escapes that jq writes: of
// control characters, quotes and backslashes. What is not UTF-8 becomes U+FFFD.
func appendQuoted(dst, text []byte) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range string(text) {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r >= ' ' && r != 0x7f:
			dst = utf8.AppendRune(dst, r)
		case r >= '\b' && r <= '\r' && r != '\v':
			dst = append(dst, '\\', "btn.fr"[r-'\b'])
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		}
	}
	return append(dst, '"')
}
