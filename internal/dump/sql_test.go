package dump

import "testing"

func TestSQL_WritesLiterals(t *testing.T) {
	entries := []entry{
		{[]byte("it's"), []byte("a\nb\tc")},
		{[]byte("\xff\x00"), []byte("a\r\nb")},
		{[]byte(""), []byte("a\x00b")},
	}
	for _, c := range []struct {
		o    WriterOptions
		want string
	}{
		{WriterOptions{}, `BEGIN;
CREATE TABLE IF NOT EXISTS "lightning" ("key" PRIMARY KEY, "value");
INSERT INTO "lightning" VALUES ('it''s', 'a
b	c');
INSERT INTO "lightning" VALUES (x'ff00', CAST(x'610d0a62' AS TEXT));
INSERT INTO "lightning" VALUES ('', x'610062');
COMMIT;
`},
		{WriterOptions{Keys: Raw, Values: Base64, Space: `a"b`}, `BEGIN;
CREATE TABLE IF NOT EXISTS "a""b" ("key" PRIMARY KEY, "value_base64");
INSERT INTO "a""b" VALUES (x'69742773', 'YQpiCWM=');
INSERT INTO "a""b" VALUES (x'ff00', 'YQ0KYg==');
INSERT INTO "a""b" VALUES (x'', 'YQBi');
COMMIT;
`},
		{WriterOptions{Keys: Hex, Values: None}, `BEGIN;
CREATE TABLE IF NOT EXISTS "lightning" ("key_hex" PRIMARY KEY);
INSERT INTO "lightning" VALUES ('69742773');
INSERT INTO "lightning" VALUES ('ff00');
INSERT INTO "lightning" VALUES ('');
COMMIT;
`},
	} {
		if have := string(write(t, SQL, c.o, entries)); have != c.want {
			t.Errorf("have\n%s\nwant\n%s", have, c.want)
		}
	}
}
