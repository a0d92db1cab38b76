package importer

import (
	"strings"
	"testing"

	"github.com/lightning-db/lightning/internal/dump"
)

func TestTemplate_MakesKeys(t *testing.T) {
	const record = `{"id":7,"country":"IS","a":{"b":"x"},"text":"\u00e9","none":null,"big":12345678901234567890}`
	for _, c := range []struct{ template, want string }{
		{"id", "7"},
		{"{id}", "7"},
		{"city:{country}:{id}", "city:IS:7"},
		{"{.a.b}/{text}", "x/é"},
		{"{{{id}}}", "{7}"},
		{"{big}", "12345678901234567890"},
		{"{a}", `{"b":"x"}`},
	} {
		tmpl, err := ParseTemplate(c.template)
		if err != nil {
			t.Fatal(err)
		}
		have, err := tmpl.Make(new([]byte), parse(t, record))
		if err != nil || string(have) != c.want {
			t.Errorf("%s: have %s, %v, want %s", c.template, have, err, c.want)
		}
	}
	for _, missing := range []string{"{nope}", "{.a.c}", "{.id.x}", "{none}"} {
		tmpl, err := ParseTemplate(missing)
		if err != nil {
			t.Fatal(err)
		}
		if have, err := tmpl.Make(new([]byte), parse(t, record)); err == nil {
			t.Errorf("%s: have %s, want an error", missing, have)
		}
	}
}

func TestParseTemplate_RefusesWhatMakesNoKey(t *testing.T) {
	for _, bad := range []string{"", "{", "}", "{}", "a{id", "a}", "{{literal}}"} {
		if _, err := ParseTemplate(bad); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

func parse(t *testing.T, line string) *dump.Record {
	t.Helper()
	r, err := dump.NewReader(strings.NewReader(line), dump.JSONL, dump.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	record, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	return record
}
