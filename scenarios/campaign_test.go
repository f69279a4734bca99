package scenarios

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sameAs compares got with testdata/name.
func sameAs(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (write it anew with -update):\n%s\nwant:\n%s", path, got, want)
	}
}

// small is a campaign without faults; tests replace parts of it.
const small = `name: small
seed: 7
crowd:
  shoppers: 10_000
  stages:
    - {name: calm, for: 1m, rate: 1}
    - {name: rush, for: 30s, rate: [1, 9]}
  personas: {patient: 3, impatient: 1}
  journeys: {order: 9, browse: 1}
  think: {median: 7s, p90: 15s}
target:
  url: http://127.0.0.1:8080
  headers: {Authorization: "Bearer ${TOKEN}"}
  chat: {protocol: openai, path: /v1, model: m}
  coupons: {protocol: wxpay-favor, stock_id: s}
  checkout: {protocol: ucp, path: /ucp}
limits: {arrivals: 5000/s}
thresholds:
  turn_ttft: ["p(99)<2s", {threshold: "p(50)<1s", abortOnFail: true, delayAbortEval: 5s}]
  "turn_ttft{stage:rush}": ["p(95)<3s"]
validity: {late: 1%, lag_p99: 20ms}
`

func parse(t testing.TB, src string) *Campaign {
	t.Helper()
	c, err := Parse("small.yaml", []byte(src))
	if err != nil {
		t.Fatalf("Parse:\n%v", err)
	}
	return c
}

func TestParse(t *testing.T) {
	c := parse(t, small)
	if c.Name != "small" || c.Seed != 7 || c.Crowd.Shoppers != 10_000 || c.Crowd.Process != Poisson {
		t.Errorf("head: %+v", c)
	}
	want := []Stage{{"calm", time.Minute, 1, 1, false}, {"rush", 30 * time.Second, 1, 9, false}}
	if !slices.Equal(c.Crowd.Stages, want) {
		t.Errorf("stages: %v", c.Crowd.Stages)
	}
	if !slices.Equal(c.Crowd.Personas, []Weight{{"patient", 3}, {"impatient", 1}}) {
		t.Errorf("personas: %v", c.Crowd.Personas)
	}
	if c.Target.Checkout.Version != "2026-04-08" || c.Limits.Arrivals != 5000 {
		t.Errorf("target or limits: %+v", c)
	}
	if v := (verdict.Validity{Late: 0.01, Orphaned: 0.001, LagP99: 20 * time.Millisecond, CPU: 0.95, Clock: time.Second, Withheld: 0.05}); c.Validity != v {
		t.Errorf("validity: %+v", c.Validity)
	}
	if len(c.Thresholds) != 3 || !c.Thresholds[1].AbortOnFail || c.Thresholds[1].DelayAbortEval != 5*time.Second || c.Thresholds[2].Select.Stage != "rush" {
		t.Errorf("thresholds: %+v", c.Thresholds)
	}
	if c.Factors != (results.Factors{Scale: 1, Demand: 1, Compress: 1, Pace: 1}) {
		t.Errorf("factors: %+v", c.Factors)
	}
	if got := c.Secrets(); !slices.Equal(got, []string{"TOKEN"}) {
		t.Errorf("secrets: %v", got)
	}
}

func TestFaultsGolden(t *testing.T) {
	for _, name := range []string{"five-faults", "many-faults", "http-faults"} {
		src, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(name+".yaml", src)
		if err == nil {
			t.Fatalf("%s has no faults", name)
		}
		sameAs(t, name+".golden", err.Error()+"\n")
	}
}

// TestRules breaks one thing at a time: each gives exactly one fault, at its place.
func TestRules(t *testing.T) {
	tests := []struct{ old, new, want string }{
		{"name: small", "name: ''", "1:7: name: is missing"},
		{"name: small", "nam: small", `1:1: unknown key "nam" (did you mean name?)`},
		{"name: small", "name: 12", "1:7: name: must be text in quotes"},
		{"name: small", "name: [a]", "1:7: name: must be text, not a list"},
		{"name: small", "name: a b", "1:7: name: "},
		{"name: small", "name:", "1:1: name: is empty"},
		{"seed: 7", "seed: 7\nseed: 8", "3:1: seed: is given twice; the first is in line 2"},
		{"seed: 7", "seed: 0x10", "2:7: seed: must be a whole number"},
		{"seed: 7", "seed: 18446744073709551616", "2:7: seed: must be a whole number"},
		{"seed: 7", "seed: 1__0", "2:7: seed: must be"},
		{"seed: 7", "seed: &a 7", "2:7: anchors and aliases are not part"},
		{"seed: 7", "seed: !!int 7", "2:7: tags are not part"},
		{"seed: 7", "seed: 7: 8", "is not YAML"},
		{"  shoppers: 10_000\n", "\tshoppers: 10_000\n", "4:1: is not YAML: a tab can't indent a line"},
		{"seed: 7", "seed: 7\n---\nname: b", "a second document"},
		{"  shoppers: 10_000\n", "", "3:1: crowd.shoppers: is missing"},
		{"10_000", "0", "4:13: crowd.shoppers: is missing, or 0"},
		{"10_000", "1e12", "4:13: crowd.shoppers: must be a whole number"},
		{"10_000", "2_000_000_000_000", "4:13: crowd.shoppers: must be at most 1000000000000"},
		{"shoppers: 10_000", "shoppers: 10\n  arrivals: {process: weibull}", "5:23: crowd.arrivals.process: "},
		{"[1, 9]", "-1", "7:36: crowd.stages[1].rate: must be between 0 and"},
		{"[1, 9]", "[-1, 9]", "7:36: crowd.stages[1].rate: must be between"},
		{"[1, 9]", "fast", `7:36: crowd.stages[1].rate: must be a number such as 3, or a rate such as 833/s, 600/m or 1_000/h, not "fast"`},
		{"[1, 9]", "[1, 2, 3]", "7:36: crowd.stages[1].rate: a ramp has two ends"},
		{"[1, 9]", "[1, 2/s]", "7:36: crowd.stages[1].rate: mixes"},
		{"[1, 9]", "[1, .inf]", "7:40: crowd.stages[1].rate[1]: must be a number"},
		{"[1, 9]", "10/s", "7:36: crowd.stages[1].rate: mixes relative rates with absolute ones"},
		{"[1, 9]", "10/d", "7:36: crowd.stages[1].rate: must be a number"},
		{", rate: [1, 9]}", "}", "7:7: crowd.stages[1].rate: is missing"},
		{"for: 30s", "for: 30", "7:25: crowd.stages[1].for: must be a duration"},
		{"for: 30s", "for: 10ms", "7:25: crowd.stages[1].for: must be between 1s"},
		{"for: 30s", "for: 9000h", "7:25: crowd.stages[1].for: must be between 1s"},
		{"for: 30s, ", "", "7:7: crowd.stages[1].for: is missing"},
		{"name: calm", "name: rush", `7:14: crowd.stages[1].name: "rush" is the name of an earlier stage`},
		{"patient: 3, impatient: 1", "patint: 3", `8:14: crowd.personas.patint: there is no persona "patint" (did you mean patient`},
		{"patient: 3, impatient: 1", "patient: 0", "8:13: crowd.personas: gives no persona a share"},
		{"patient: 3, impatient: 1", "patient: -1, impatient: 2", "8:23: crowd.personas.patient: must be a share"},
		{"patient: 3, impatient: 1", "patient: 1, patient: 2", "8:26: crowd.personas.patient: is given twice"},
		{"order: 9", "ordr: 9", "9:14: crowd.journeys.ordr: there is no journey"},
		{"p90: 15s", "p90: 5s", "10:28: crowd.think.p90: must be between the median, 7s"},
		{"median: 7s", "median: -7s", "10:19: crowd.think.median: must be between 0s"},
		{"http://127.0.0.1:8080", "ftp://x", "12:8: target.url: must be an http"},
		{"http://127.0.0.1:8080", "http://u:p@x", "12:8: target.url: must not hold a user"},
		{"http://127.0.0.1:8080", "http://x/?a=b", "12:8: target.url: must not have a query"},
		{"http://127.0.0.1:8080", `"${TAR GET}"`, "12:8: target.url: holds a ${ that is not"},
		{"${TOKEN}", "${TOKEN", "13:28: target.headers.Authorization: holds a ${"},
		{"Authorization", "Content-Length", "target.headers.Content-Length: is set by the protocol"},
		{"Authorization", "'X Y'", "is not the name of a header"},
		{"Bearer", `\nX: y`, "must be one line"},
		{"protocol: openai", "protocol: opnai", `14:20: target.chat.protocol: there is no chat protocol "opnai" (did you mean openai?)`},
		{"  chat: {protocol: openai, path: /v1, model: m}\n", "", "11:1: target.chat: is missing: the journeys need it"},
		{"path: /v1", "path: v1/", "target.chat.path: "},
		{", model: m", "", "14:9: target.chat.model: is missing"},
		{", stock_id: s", "", "15:12: target.coupons.stock_id: is missing"},
		{"path: /ucp", "version: 2025-01-01", `16:38: target.checkout.version: ucp has no version "2025-01-01" (known: 2026-04-08, 2026-01-11)`},
		{"protocol: ucp, path: /ucp", "protocol: mcp", `16:13: target.checkout.path: is missing: the server has one address (/mcp)`},
		{"protocol: ucp, path: /ucp", "protocol: mcp, path: /mcp, version: 2024-11-05", `target.checkout.version: mcp has no version "2024-11-05" (known: 2026-07-28, 2025-11-25)`},
		{"stock_id: s", "stock_id: s, version: v3", `target.coupons.version: wxpay-favor has no version "v3"`},
		{"protocol: wxpay-favor, stock_id: s", "protocol: mcp, path: /mcp", "target.coupons.stock_id: is missing"},
		{"path: /ucp", "model: x", `16:29: target.checkout: unknown key "model"`},
		{"5000/s", "500", "17:20: limits.arrivals: must be a rate"},
		{"5000/s", "0/s", "17:20: limits.arrivals: must be a rate"},
		{"p(99)<2s", "p(99)<2x", "19:15: thresholds.turn_ttft[0]: "},
		{"turn_ttft{", "turn_tft{", "20:28: thresholds.turn_tft{stage:rush}[0]: "},
		{"abortOnFail: true", "abortOnFail: 1", "thresholds.turn_ttft[1].abortOnFail: must be true or false, not the number 1"},
		{"delayAbortEval: 5s", "delayAbortEval: 900h", "19:86: thresholds.turn_ttft[1].delayAbortEval: must be at most"},
		{"stage:rush", "stage:rsh", `20:3: thresholds.turn_ttft{stage:rsh}: there is no stage "rsh" (did you mean rush?)`},
		{"late: 1%", "late: 101%", "21:18: validity.late: must be between 0 and 1"},
		{"late: 1%", "late: 1 %", "21:18: validity.late: must be a share"},
		{"lag_p99: 20ms", "lag_p99: 0s", "validity.lag_p99: must be longer"},
		{"lag_p99: 20ms", "clock: -1s", "validity.clock: must be"},
		{"seed: 7", "factors: {scale: 2}", "2:18: factors.scale: must be more than 0 and at most 1"},
		{"seed: 7", "factors: {compress: 1/0}", "2:21: factors.compress: must be a number or a fraction"},
	}
	for _, tt := range tests {
		src := strings.Replace(small, tt.old, tt.new, 1)
		if src == small {
			t.Fatalf("%q is not in the campaign", tt.old)
		}
		_, err := Parse("f", []byte(src))
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s → %s: no faults, want %q", tt.old, tt.new, tt.want)
			continue
		}
		if len(faults) > 1 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s → %s:\n%v\nwant %q", tt.old, tt.new, err, tt.want)
		}
	}
}

func TestAbsoluteRates(t *testing.T) {
	src := strings.Replace(small, "  shoppers: 10_000\n", "", 1)
	src = strings.Replace(src, "rate: 1}", "rate: 600/m}", 1)
	src = strings.Replace(src, "[1, 9]", `["10/s", 108_000/h]`, 1)
	p, err := parse(t, src).Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Shoppers != 600+600 {
		t.Errorf("planned %d shoppers, the integral is 1200", p.Shoppers)
	}
	_, err = Parse("f", []byte(strings.Replace(src, "crowd:", "crowd:\n  shoppers: 5", 1)))
	if err == nil || !strings.Contains(err.Error(), "crowd.shoppers: contradicts the absolute rates") {
		t.Errorf("shoppers beside absolute rates: %v", err)
	}
}

func TestHostileInput(t *testing.T) {
	deep := func(open, shut string, n int) string {
		return "name: " + strings.Repeat(open, n) + strings.Repeat(shut, n)
	}
	var indent strings.Builder
	for i := range 300 {
		indent.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	tests := []struct{ name, src, want string }{
		{"a megabyte", strings.Repeat("# x\n", 1<<18), "is larger than 64 KiB"},
		{"flow sequences", deep("[", "]", 10_000), "is nested too deeply"},
		{"flow mappings", deep("{a: ", "}", 10_000), "is nested too deeply"},
		{"open for ever", strings.Repeat("[", 60_000), "is nested too deeply"},
		{"block sequences", strings.Repeat("- ", 30_000), "is nested too deeply"},
		{"a stray end", "]" + strings.Repeat("- ", 30_000), "is nested too deeply"},
		{"indents", indent.String(), "is nested too deeply"},
		{"alias bomb", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "anchors and aliases"},
		{"merge key", "<<: {a: 1}", "merge keys"},
		{"directive", "%YAML 1.2\n---\nname: a", "directives"},
		{"binary", "name: \xff\xfe", "is not UTF-8"},
		{"empty", "# only talk\n", "is empty"},
		{"a scalar", "hello", "must be a mapping"},
		{"a list", "- a\n- b\n", "must be a mapping"},
		{"many keys", strings.Repeat("a: 1\n", 10_000), " more faults from here on"},
		{"terminal codes", "\"\\e[31m\": 1", "unknown key"},
	}
	for _, tt := range tests {
		_, err := Parse("f", []byte(tt.src))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %.300v; want %q", tt.name, err, tt.want)
			continue
		}
		if n := len(err.(Faults)); n > maxFaults || n > 1 && tt.want == "must be a mapping" {
			t.Errorf("%s: %d faults", tt.name, n)
		}
		if strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("%s: the error carries terminal codes", tt.name)
		}
	}
}

func TestLoad(t *testing.T) {
	for _, name := range Embedded() {
		c, err := Load(name)
		if err != nil {
			t.Errorf("%s:\n%v", name, err)
			continue
		}
		if c.Name != name {
			t.Errorf("campaigns/%s.yaml is named %s", name, c.Name)
		}
		p, err := c.Plan(results.Factors{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if w := p.Warnings(); len(w) > 0 {
			t.Errorf("%s warns: %v", name, w)
		}
		if p.Duration() > 2*time.Minute {
			t.Errorf("%s lasts %v", name, p.Duration())
		}
	}
	path := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(path, []byte(small), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Errorf("a path: %v", err)
	}
	for name, want := range map[string]string{
		"spring-festivl": "\nhint: did you mean spring-festival?",
		"spring":         "\nhint: did you mean spring-festival?",
		"SMOKE":          "\nhint: did you mean smoke?",
		"black-friday":   "\nhint: embedded are agentic, smoke, spring-festival",
		"":               "\nhint: embedded are",
		"nowhere.yaml":   "no such file",
		"campaigns/":     "is a directory",
	} {
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%q): %v; want %q", name, err, want)
		}
	}
}

// TestCanonical: what does not change the meaning does not change the form.
func TestCanonical(t *testing.T) {
	want := parse(t, small).Canonical()
	same := map[string]string{
		"comments":  "# hello\n" + strings.ReplaceAll(small, "\n", " # hm\n"),
		"numbers":   strings.NewReplacer("10_000", "10000", "rate: 1}", "rate: 1.0}", "1%", "0.01", "1m", "60s").Replace(small),
		"key order": strings.Replace(strings.Replace(small, "name: small\n", "", 1), "limits:", "name: small\nlimits:", 1),
		"address":   strings.Replace(small, "127.0.0.1:8080", "shop.example", 1),
		"headers":   strings.Replace(small, "Bearer ${TOKEN}", "Basic ${OTHER}", 1),
		"line ends": "\ufeff" + strings.ReplaceAll(small, "\n", "\r\n"),
		"defaults":  strings.Replace(small, "shoppers:", "arrivals: {process: poisson}\n  shoppers:", 1),
	}
	for name, src := range same {
		if got := parse(t, src).Canonical(); !bytes.Equal(got, want) {
			t.Errorf("%s change the canonical form:\n%s\n%s", name, got, want)
		}
	}
	other := map[string]string{
		"seed":          strings.Replace(small, "seed: 7", "seed: 8", 1),
		"persona order": strings.Replace(small, "patient: 3, impatient: 1", "impatient: 1, patient: 3", 1),
		"a threshold":   strings.Replace(small, "p(99)<2s", "p(99)<3s", 1),
		"the model":     strings.Replace(small, "model: m", "model: n", 1),
	}
	for name, src := range other {
		if got := parse(t, src).Canonical(); bytes.Equal(got, want) {
			t.Errorf("%s does not change the canonical form", name)
		}
	}
	if bytes.Contains(want, []byte("127.0.0.1")) || bytes.Contains(want, []byte("TOKEN")) {
		t.Errorf("the canonical form holds the address or a header:\n%s", want)
	}
}
