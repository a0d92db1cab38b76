package dump

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Commands of Redis, as redis-cli --pipe takes them and an append-only file
// holds them, in two forms that may alternate:
//
//	*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n
//	SET k "val\x00ue"
//
// SET of a key and a value is a record. SELECT 0 is passed over: it is what
// every such file begins with. So is a line that begins with #, as one does that
// says the time in an append-only file. Any other command is a bad record, and
// so are those to other databases, whose keys may be the same.

// A respReader reads commands of Redis.
type respReader struct {
	bare
	lines  *lines
	other  string // database that is selected, unless it is 0
	source []byte
	plain  []byte // holds the arguments of a line, without quotes and escapes

	text   []byte   // that the arguments are in: source or plain
	args   [][2]int // where in it each begins and ends
	record Record
}

func newRESPReader(r io.Reader) Reader {
	c := &respReader{lines: newLines(r)}
	c.record.fields = fieldsNamed("key", "value")
	return c
}

// maxArgs bounds the arguments of a command, as Redis does.
const maxArgs = 1 << 20

func (c *respReader) Read() (*Record, error) {
	for {
		line, err := c.lines.next()
		if err != nil {
			return nil, err
		}
		if len(chomp(line)) == 0 || line[0] == '#' {
			continue
		}
		r := &c.record
		r.Line = c.lines.line
		c.args, c.plain, c.source = c.args[:0], c.plain[:0], append(c.source[:0], line...)
		if line[0] == '*' {
			err = c.array(chomp(line))
			c.text = c.source
		} else {
			if r.Line == 1 && bytes.HasPrefix(line, []byte("REDIS0")) {
				return nil, inputError("the file begins with a snapshot (RDB): BGREWRITEAOF with aof-use-rdb-preamble no makes one without")
			}
			err = c.inline(chomp(line))
			c.text = c.plain
		}
		r.Source = c.source
		if err == io.EOF {
			err = errRESPEnd
		}
		switch {
		case err == errInline:
			return nil, r.Bad(err)
		case err == errRESP, err == errRESPEnd:
			return nil, inputError("line %d: %w", r.Line, err)
		case err != nil:
			return nil, err
		case len(c.args) == 0:
			continue
		case len(c.args) == 2 && c.is("SELECT"):
			if c.other = string(c.arg(1)); c.other == "0" {
				c.other = ""
				continue
			}
		}
		if err := c.check(); err != nil {
			return nil, r.Bad(err)
		}
		r.fields[0].value, r.fields[1].value = c.arg(1), c.arg(2)
		return r, nil
	}
}

var errRESPEnd = errors.New("the command has no end: the file was cut off")

func (c *respReader) arg(i int) []byte {
	begin, end := c.args[i][0], c.args[i][1]
	return c.text[begin:end:end]
}

func (c *respReader) is(name string) bool { return strings.EqualFold(string(c.arg(0)), name) }

// check says what is wrong with a command.
func (c *respReader) check() error {
	switch {
	case c.other != "":
		return errorf("%s in database %s: only database 0 is imported", Printable(c.arg(0)), Printable([]byte(c.other)))
	case !c.is("SET"):
		return errorf("the command %s: only SET is imported", Printable(c.arg(0)))
	case len(c.args) < 3:
		return errors.New("SET wants a key and a value")
	case len(c.args) > 3:
		return errorf("SET with %s: only a key and a value are imported, no options", Printable(c.arg(3)))
	}
	return nil
}

var errRESP = errorf("no command of Redis: expected * and a number, then for each argument $, its length, and its bytes")

// size reads the number behind the first byte of a line.
func respSize(line []byte, mark byte, most int64) (int64, error) {
	if len(line) == 0 || line[0] != mark {
		return 0, errRESP
	}
	n, err := strconv.ParseInt(string(line[1:min(len(line), 24)]), 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, errRESP
	}
	return n, nil
}

// array reads the arguments of a command whose first line is read.
func (c *respReader) array(line []byte) error {
	count, err := respSize(line, '*', maxArgs)
	if err != nil {
		return err
	}
	for range count {
		line, err := c.lines.more(len(c.source))
		if err != nil {
			return err
		}
		c.source = append(c.source, line...)
		n, err := respSize(chomp(line), '$', maxRecord-int64(len(c.source)))
		if err != nil {
			return err
		}
		begin := len(c.source)
		if err := c.bytes(n + 2); err != nil {
			return err
		}
		if !bytes.HasSuffix(c.source, []byte("\r\n")) {
			return errRESP
		}
		c.args = append(c.args, [2]int{begin, len(c.source) - 2})
	}
	return nil
}

// bytes appends n bytes to the source. Memory grows as they come.
func (c *respReader) bytes(n int64) error {
	for n > 0 {
		if err := c.lines.fits(len(c.source), c.record.Line); err != nil {
			return err
		}
		if len(c.lines.rest) == 0 {
			if err := c.lines.fill(); err != nil {
				return err
			}
		}
		b := c.lines.take(int(min(n, int64(len(c.lines.rest)))))
		c.source = append(room(c.source, len(b)), b...)
		c.lines.line += int64(bytes.Count(b, []byte{'\n'}))
		n -= int64(len(b))
	}
	return nil
}

var errInline = errors.New("the quotes of the command are not closed, or something stands right behind them")

// inline reads a command of one line: words with space between them, in double
// quotes with \n \r \t \b \a \xFF and \ before any other byte, in single ones
// with \' only.
func (c *respReader) inline(line []byte) error {
	for {
		line = bytes.TrimLeft(line, " \t\r\n\v\f\x00")
		if len(line) == 0 {
			return nil
		}
		var quote byte
		begin := len(c.plain)
	word:
		for len(line) > 0 {
			b := line[0]
			line = line[1:]
			switch {
			case quote == 0 && (b == ' ' || b >= '\t' && b <= '\r' || b == 0):
				break word
			case quote == 0 && (b == '"' || b == '\''):
				quote = b
			case b == quote && quote != 0:
				if len(line) > 0 && line[0] > ' ' {
					return errInline
				}
				quote = 0
				break word
			case b == '\\' && quote == '\'' && len(line) > 0 && line[0] == '\'':
				c.plain, line = append(c.plain, '\''), line[1:]
			case b == '\\' && quote == '"' && len(line) > 0:
				if len(line) > 2 && line[0] == 'x' {
					if n, err := strconv.ParseUint(string(line[1:3]), 16, 8); err == nil {
						c.plain, line = append(c.plain, byte(n)), line[3:]
						continue
					}
				}
				b = line[0]
				if i := strings.IndexByte("nrtba", b); i >= 0 {
					b = "\n\r\t\b\a"[i]
				}
				c.plain, line = append(c.plain, b), line[1:]
			default:
				c.plain = append(c.plain, b)
			}
		}
		if quote != 0 {
			return errInline
		}
		c.args = append(c.args, [2]int{begin, len(c.plain)})
	}
}
