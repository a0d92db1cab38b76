package httpstatus_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// monitoring is the folder of what is given to Prometheus and Grafana.
const monitoring = "../../docs/monitoring"

// needs skips the test where a program is missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("there is no %s; Debian has it in the package prometheus", p)
		}
	}
}

// TestAlerts: promtool takes the alerts, and each fires for its cause and is
// silent without it.
func TestAlerts(t *testing.T) {
	needs(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}, {"check", "config", "prometheus.yml"},
	} {
		cmd := exec.Command("promtool", args...)
		cmd.Dir = monitoring
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	rules := read(t, "alerts.yml")
	tests := read(t, "alerts_test.yml")
	n := 0
	for line := range strings.Lines(rules) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- alert: "); ok {
			n++
			if !strings.Contains(tests, "alertname: "+name+"\n        exp_alerts:") {
				t.Errorf("%s: no test sees it fire", name)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d alerts", n)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(monitoring, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPrometheus: a Prometheus scrapes the example by the configuration in docs,
// promtool has nothing to say against what it gets, every rule can be evaluated,
// and every query of the dashboard, and what alerts compare, is a number.
func TestPrometheus(t *testing.T) {
	needs(t, "prometheus", "promtool")
	metrics := startExample(t)

	text := get(t, metrics)
	checkMetrics(t, text)

	u, err := url.Parse(metrics)
	if err != nil {
		t.Fatal(err)
	}
	p := startPrometheus(t, u.Host)
	queries := dashboardQueries(t)
	if len(queries) < 40 {
		t.Errorf("%d queries in the dashboard", len(queries))
	}
	// What an alert is about can be looked at.
	for _, name := range regexp.MustCompile(`lightning_[a-z_]+`).FindAllString(read(t, "alerts.yml"), -1) {
		if !strings.Contains(strings.Join(queries, "\n"), name) {
			t.Errorf("an alert asks for %s, and no query of the dashboard does", name)
		}
	}
	// Each query, and what each alert compares, is a number, once there has been
	// what it is about: an alert of what is none never fires.
	for _, q := range append(queries, alertOperands(t)...) {
		p.wait(t, "a number: "+q, func() bool { return isNumber(p.query(t, q)) })
	}
	// Every metric is there, and none but ours.
	for line := range strings.Lines(text) {
		if typed, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(typed), " ")
			if kind == "histogram" {
				name += "_count"
			}
			p.wait(t, name, func() bool { return len(p.query(t, name)) > 0 }) // none where the last scrape came to nothing
		}
	}
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	p.wait(t, "the rules", func() bool {
		p.api(t, "rules", nil, &rules)
		n := 0
		for _, g := range rules.Data.Groups {
			for _, r := range g.Rules {
				if r.Health == "err" {
					t.Fatalf("rule %s: %s", r.Name, r.LastError)
				}
				if r.Health == "ok" {
					n++
				}
			}
		}
		return n >= 10
	})
	if firing := p.query(t, `ALERTS{alertstate="firing"}`); len(firing) > 0 {
		t.Errorf("the example is well, but: %v", firing)
	}
}

// checkMetrics holds a text of metrics against what promtool asks of one.
func checkMetrics(t *testing.T, text string) {
	t.Helper()
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// TestFileMetrics: promtool has nothing to say either against what a reader knows,
// which is what lightning stats -o prometheus prints, nor against odd names.
func TestFileMetrics(t *testing.T) {
	needs(t, "promtool")
	disk := vfs.NewMem()
	const dir = "a \"b\" \\c"
	db := open(t, dir, engine.Options{FS: disk})
	if _, err := db.CreateKeyspace("d {e}=\\", nil); err != nil {
		t.Fatal(err)
	}
	reader := open(t, dir, engine.Options{FS: disk, ReadOnly: true})
	for _, write := range []func(io.Writer) error{db.WriteMetrics, reader.WriteMetrics, reader.WriteFileMetrics} {
		var b bytes.Buffer
		if err := write(&b); err != nil || b.Len() == 0 {
			t.Fatalf("%d bytes, %v", b.Len(), err)
		}
		checkMetrics(t, b.String())
	}
}

// startExample builds and starts the example, and returns the address of its
// metrics. At the end of the test it must end by itself when it is asked to.
func startExample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "metrics")
	if out, err := exec.Command("go", "build", "-o", program, "../../examples/metrics").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, "-db", filepath.Join(dir, "example.db"), "-listen", "127.0.0.1:0")
	out := start(t, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the example said no address: %v", err)
	}
	return strings.TrimSpace(line)
}

// start starts a program that ends, with status 0, when it gets SIGTERM at the
// end of the test.
func start(t *testing.T, cmd *exec.Cmd) io.Reader {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("%s: %v\n%s", cmd.Path, err, said.Bytes())
		}
		if !cmd.ProcessState.Success() {
			t.Errorf("%s ended with %v", cmd.Path, cmd.ProcessState)
		}
	})
	return out
}

// get returns what is served at an address.
func get(t *testing.T, address string) string {
	t.Helper()
	r, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", address, r.Status, err, b)
	}
	return string(b)
}

// prometheus is a running one.
type prometheus struct{ address string }

// startPrometheus starts one that scrapes target each second, by the
// configuration in docs, and waits until it has some samples.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	config := strings.NewReplacer("127.0.0.1:8080", target, "scrape_interval: 15s", "scrape_interval: 1s\n  evaluation_interval: 1s").Replace(read(t, "prometheus.yml"))
	for name, text := range map[string]string{"prometheus.yml": config, "alerts.yml": read(t, "alerts.yml")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+address)
	cmd.Dir = dir
	start(t, cmd)
	p := &prometheus{address}
	p.wait(t, "samples", func() bool {
		r, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK && len(p.query(t, "count_over_time(lightning_seq[5m]) > 4")) > 0
	})
	return p
}

// wait waits until there is something, and ends the test where that takes a
// minute.
func (p *prometheus) wait(t *testing.T, what string, there func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !there(); {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(100 * time.Millisecond) // between two looks at another process
	}
}

// api asks one of Prometheus's questions.
func (p *prometheus) api(t *testing.T, question string, values url.Values, answer any) {
	t.Helper()
	text := get(t, fmt.Sprintf("http://%s/api/v1/%s?%s", p.address, question, values.Encode()))
	if err := json.Unmarshal([]byte(text), answer); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// sample is a result of a query: its labels, and a time and a number as text.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// query returns the results of an expression.
func (p *prometheus) query(t *testing.T, expression string) []sample {
	t.Helper()
	var answer struct {
		Data struct{ Result []sample }
	}
	p.api(t, "query", url.Values{"query": {expression}}, &answer)
	return answer.Data.Result
}

// isNumber reports whether there are results, all of them finite numbers.
func isNumber(results []sample) bool {
	for _, r := range results {
		x, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return len(results) > 0
}

// alertOperands are the expressions that the alerts compare with each other and
// with numbers.
func alertOperands(t *testing.T) (operands []string) {
	t.Helper()
	rules, n := read(t, "alerts.yml"), 0
	for _, m := range regexp.MustCompile(`(?m)^        expr:( \|\n(?:          .*\n)+|.*\n)`).FindAllStringSubmatch(rules, -1) {
		n++
		for _, o := range regexp.MustCompile(` (?:==|[<>]) |\sand\s`).Split(strings.TrimPrefix(m[1], " |"), -1) {
			if o = strings.TrimSpace(o); strings.Contains(o, "lightning_") {
				operands = append(operands, o)
			}
		}
	}
	if want := strings.Count(rules, "- alert: "); n != want || len(operands) < n {
		t.Errorf("%d expressions of %d alerts, with %d operands", n, want, len(operands))
	}
	return operands
}

// dashboardQueries are the expressions of all panels, as Grafana would ask them
// of all databases.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$db", ".*")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			q := variables.Replace(target.Expr)
			if strings.Contains(q, "$") {
				t.Errorf("%s: an unknown variable: %s", panel.Title, q)
			}
			queries = append(queries, q)
		}
	}
	return queries
}
