package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/books"
)

// These tests hold README.md to the code. -update writes the tables between
// markers anew.

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// holdsTable compares what stands between <!-- name --> and <!-- /name -->.
func holdsTable(t *testing.T, name, want string) {
	t.Helper()
	text := readme(t)
	before, rest, begins := strings.Cut(text, "<!-- "+name+" -->\n")
	got, after, ends := strings.Cut(rest, "<!-- /"+name+" -->\n")
	if !begins || !ends {
		t.Fatalf("README.md has no table %s between markers", name)
	}
	if got == want {
		return
	}
	if !*update {
		t.Errorf("table %s of README.md differs (write it anew with -update):\n%s\nwant:\n%s", name, got, want)
		return
	}
	text = before + "<!-- " + name + " -->\n" + want + "<!-- /" + name + " -->\n" + after
	if err := os.WriteFile("README.md", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func table(head []any, rows [][]any) string {
	row := "|" + strings.Repeat(" %v |", len(head)) + "\n"
	out := fmt.Sprintf(row, head...) + "|" + strings.Repeat("---|", len(head)) + "\n"
	for _, r := range rows {
		out += fmt.Sprintf(row, r...)
	}
	return out
}

func code(s string) string { return "`" + s + "`" }

func TestDocsPersonas(t *testing.T) {
	var rows [][]any
	for _, p := range presets() {
		rows = append(rows, []any{code(p.Name), results.Human(p.FirstToken), results.Human(p.Answer), p.Retries, p.Reasks,
			results.Human(p.Backoff), results.Human(p.MaxBackoff), results.HumanShare(p.Jitter), results.Human(p.LongestWait), p.Heed, strings.Join(habits(p), "; ")})
	}
	holdsTable(t, "personas", table([]any{"persona", "waits for the first token", "for the whole answer", "tries a failed step again",
		"asks again after a refusal", "back-off", "at most", "jitter", "longest Retry-After", "Retry-After", "habits"}, rows))
}

// habits says in words what the table of personas has no columns for.
func habits(p Persona) (all []string) {
	add := func(has bool, format string, args ...any) {
		if has {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(p.Rewords, "says a line again in other words, as a new request")
	add(p.Tap > 0, "sends claim and complete again %s after the first answer, with the same key", results.Human(p.Tap))
	add(p.Reinstalls > 0, "starts over with new keys up to %d times, after %s to %s", p.Reinstalls, results.Human(p.Reinstall/2), results.Human(p.Reinstall))
	add(p.SDK, "repeats only what the official OpenAI client does")
	add(p.ReadsBack, "reads the checkout back before it repeats a completion that was not answered")
	add(p.Claims > 1, "claims up to %d coupons", p.Claims)
	add(p.Accounts, "each under another user id")
	add(p.Drops > 0, "leaves with them, without an order, %s of the time", results.HumanShare(p.Drops))
	return all
}

func TestDocsReactions(t *testing.T) {
	after := map[reaction][]string{}
	for _, o := range results.Outcomes() {
		if o != results.OK {
			after[react(o)] = append(after[react(o)], code(o.String()))
		}
	}
	does := map[reaction]string{retry: "tries again, as often as its persona does", reask: "asks again, as often as its persona does", leave: "leaves"}
	rows := [][]any{{code("ok"), "goes on"}}
	for _, r := range []reaction{retry, reask, leave} {
		rows = append(rows, []any{strings.Join(after[r], ", "), does[r]})
	}
	holdsTable(t, "reactions", table([]any{"after", "a shopper"}, rows))
}

func TestDocsJourneys(t *testing.T) {
	var rows [][]any
	for _, name := range Journeys() {
		var steps []string
		for _, k := range script(name, 3) {
			steps = append(steps, code(k.String()))
		}
		rows = append(rows, []any{code(name), strings.Join(steps, " → "), len(steps)})
	}
	holdsTable(t, "journeys", table([]any{"journey", "steps", "requests, if all goes well"}, rows))
}

func TestDocsAudit(t *testing.T) {
	var rows [][]any
	for _, table := range books.Tables() {
		for _, f := range books.Fields(table) {
			cell := "never empty"
			if f.Blank {
				cell = "may be empty"
			}
			needed := "no"
			if f.Needed {
				needed = "yes"
			}
			rows = append(rows, []any{code(table + "." + f.Name), code(f.Column), needed, cell})
		}
	}
	holdsTable(t, "audit", table([]any{"field", "column, if the campaign does not say", "needed", "a cell is"}, rows))
}

func TestDocsFactors(t *testing.T) {
	c, err := Load("spring-festival")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]any
	for _, f := range [][4]string{{"1", "1", "1", "1"}, {"1/1000", "1", "1", "1"}, {"1/1000", "2", "1", "1"}, {"1/1000", "2", "60", "1"}, {"1/2000", "1", "360", "1/100"}} {
		var v [4]float64
		for i := range f {
			if v[i], err = ParseFactor(f[i]); err != nil {
				t.Fatal(err)
			}
		}
		c.Limits = Limits{}
		p, err := c.Plan(results.Factors{Scale: v[0], Demand: v[1], Compress: v[2], Pace: v[3]})
		if err != nil {
			t.Fatal(err)
		}
		peak, stage := p.peak()
		if stage != "noon" {
			t.Fatalf("the busiest stage is %s", stage)
		}
		rows = append(rows, []any{f[0], f[1], f[2], f[3], results.HumanCount(p.Shoppers), results.Human(p.Duration()),
			results.HumanRate(peak), results.Human(pace(c.Crowd.Think.Median, v[3]))})
	}
	holdsTable(t, "factors", table([]any{"scale", "demand", "compress", "pace", "shoppers", "length", "noon, arrivals/s", "median think time"}, rows))
}

// branch is a campaign as keys and raw YAML values, to change one of them.
type branch map[string]any

// plain is a campaign without faults that has every key the tables change.
func plain() branch {
	b := branch{}
	for path, raw := range map[string]string{
		"name": "plain", "crowd.shoppers": "100", "crowd.stages[].name": "calm", "crowd.stages[].for": "30s", "crowd.stages[].rate": "1",
		"crowd.think.median": "7s", "crowd.think.p90": "15s", "crowd.turns.median": "3", "crowd.turns.p90": "3",
		"crowd.words.length.median": "30", "crowd.words.length.p90": "120",
		"target.chat.protocol": "openai", "target.chat.model": "m",
		"target.coupons.protocol": "wxpay-favor", "target.coupons.stock_id": "s",
		"target.checkout.protocol": "ucp",
		"audit.source":             "http", "audit.url": "http://127.0.0.1:9", "audit.orders.path": "/orders", "thresholds.turn_ttft[].threshold": "p(99)<9s",
	} {
		b.set(path, raw)
	}
	return b
}

// set gives a key another value, or none.
func (b branch) set(path, raw string) {
	parts := strings.Split(strings.Replace(path, "SELECTOR", "turn_ttft", 1), ".")
	for _, p := range parts[:len(parts)-1] {
		if _, ok := b[p].(branch); !ok {
			b[p] = branch{}
		}
		b = b[p].(branch)
	}
	last := parts[len(parts)-1]
	delete(b, last+"[]")
	delete(b, last)
	if raw != "" {
		b[last] = raw
	}
}

func (b branch) String() string {
	var entries []string
	for _, key := range slices.Sorted(maps.Keys(b)) {
		name, list := strings.CutSuffix(key, "[]")
		value := fmt.Sprint(b[key])
		if list {
			value = "[" + value + "]"
		}
		entries = append(entries, fmt.Sprintf("%q: %s", name, value))
	}
	return "{" + strings.Join(entries, ", ") + "}"
}

// rowsUnder returns the rows, split into cells, of the tables with that head.
func rowsUnder(text, head string) (rows [][]string) {
	_, rest, _ := strings.Cut(text, head+"\n")
	for i, line := range strings.Split(rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if i > 0 {
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			rows = append(rows, cells)
		}
	}
	return rows
}

func unquoted(cell string) string { return strings.Trim(cell, "`") }

// alike are the keys of files, operations and rules that are read as those of
// data.users, target.chat.turn and its rejected are.
var alike = regexp.MustCompile(`^data\.(items|addresses)\.|^target\.(coupons\.claim|checkout\.(create|update))\.|^target\.chat\.turn\.(answer\.done\.|retry\[|ok\[)|` +
	`^target\.checkout\.search\.(request|rejected|retry|ok)|` +
	`^target\.checkout\.complete\.(request|take|rejected|retry|ok|pending\[|poll\.(request\.|take|rejected|retry|pending|ok))|` +
	`^audit\.(coupons|stocks|seats)(\.|$)|^audit\.orders\.columns\.|` +
	`^target\.login\.(request\.|refresh\.|rejected\[|retry\[|ok\[|expired\[)`)

// Each key of the loader has a row, and what a row says of a wrong value is
// what the loader says.
func TestDocsKeys(t *testing.T) {
	if _, err := Parse("plain", []byte(plain().String())); err != nil {
		t.Fatalf("the campaign that the rows change has faults itself:\n%v", err)
	}
	var documented []string
	for _, cells := range rowsUnder(readme(t), "| key | value and range | default | refused | answer |") {
		if len(cells) != 5 {
			t.Fatalf("%d cells in the row %q", len(cells), cells)
		}
		key, refused, answer := unquoted(cells[0]), unquoted(cells[3]), unquoted(cells[4])
		documented = append(documented, key)
		if refused == "*(left out)*" {
			refused = ""
		}
		c := plain()
		c.set(key, refused)
		_, err := Parse("", []byte(c.String()))
		var faults Faults
		errors.As(err, &faults)
		if !slices.ContainsFunc(faults, func(f Fault) bool { return f.Path+": "+f.Message == answer }) {
			t.Errorf("%s = %s\n  README.md: %s\n  loader:    %v", key, refused, answer, err)
		}
	}
	known := slices.DeleteFunc(knownKeys(), func(key string) bool { return alike.MatchString(key) })
	for _, key := range known {
		if !slices.Contains(documented, key) {
			t.Errorf("the loader knows %s, README.md does not", key)
		}
	}
	for i, key := range documented {
		if !slices.Contains(known, key) || slices.Contains(documented[:i], key) {
			t.Errorf("README.md has %s, which the loader does not know, or twice", key)
		}
	}
}

// knownKeys asks the loader for its keys: a mapping names them all when it is
// given one that is like none.
func knownKeys() (all []string) {
	const odd = "zzzzzzzzzzzz"
	var ask func(path, doc string)
	ask = func(path, doc string) {
		_, err := Parse("", []byte(doc))
		var faults Faults
		errors.As(err, &faults)
		for _, f := range faults {
			names, ok := strings.CutPrefix(f.Hint, "known: ")
			if !ok || f.Message != fmt.Sprintf("unknown key %q", odd) {
				continue
			}
			for _, name := range strings.Split(names, ", ") {
				key := join(path, name)
				all = append(all, key)
				at := func(value string) string { return strings.Replace(doc, odd+": 1", name+": "+value, 1) }
				ask(key, at("{"+odd+": 1}"))
				ask(key+"[]", at("[{"+odd+": 1}]"))
				ask(key+".SELECTOR[]", at("{turn_ttft: [{"+odd+": 1}]}"))
			}
		}
	}
	ask("", "{"+odd+": 1}")
	return all
}

var yamlBlock = regexp.MustCompile("(?s)```yaml( fragment)?\n(.*?)```")

// Each example is a campaign, or sections to put in the place of a campaign's.
func TestDocsExamples(t *testing.T) {
	blocks := yamlBlock.FindAllStringSubmatch(readme(t), -1)
	if len(blocks) < 4 {
		t.Fatalf("%d examples, expected at least 4", len(blocks))
	}
	for _, b := range blocks {
		text := b[2]
		if b[1] != "" {
			whole := plain()
			for _, section := range regexp.MustCompile(`(?m)^(\w+):`).FindAllStringSubmatch(text, -1) {
				delete(whole, section[1])
			}
			for key, value := range whole {
				text += fmt.Sprintf("%s: %v\n", key, value)
			}
		}
		if _, err := Parse("README.md", []byte(text)); err != nil {
			t.Errorf("example:\n%s\n%v", b[2], err)
		}
	}
}

func TestDocsFingerprints(t *testing.T) {
	prints := func(b branch) (plan string, load results.Sum128) {
		c, err := Parse("", []byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Plan(results.Factors{})
		if err != nil {
			t.Fatal(err)
		}
		for s := range Slot(Slots) {
			for a := range p.Arrivals(s, 0) {
				load = load.Add(p.Shopper(a.ID).Hash())
			}
		}
		return p.Fingerprint(), load
	}
	plan, load := prints(plain())
	word := func(same bool) string {
		if same {
			return "same"
		}
		return "changes"
	}
	rows := rowsUnder(readme(t), "| change | to | plan | load |")
	if len(rows) == 0 {
		t.Fatal("README.md has no rows")
	}
	for _, cells := range rows {
		b := plain()
		b.set(unquoted(cells[0]), unquoted(cells[1]))
		thenPlan, thenLoad := prints(b)
		if got := []string{word(thenPlan == plan), word(thenLoad == load)}; !slices.Equal(got, cells[2:]) {
			t.Errorf("%s: README.md says %v, it is %v", cells[0], cells[2:], got)
		}
	}
}

// Figures in the prose.
func TestDocsFigures(t *testing.T) {
	text := readme(t)
	for _, figure := range []string{
		Key(1, Intent{}).String(),
		fmt.Sprintf("%d KiB", MaxSize>>10),
		fmt.Sprintf("1 to %d stages", maxStages),
		fmt.Sprintf("%.0f h (%.0f days)", maxLength.Hours(), maxLength.Hours()/24),
		fmt.Sprintf("%d nested brackets; blocks begin in the first %d columns", maxFlow, maxColumn),
		fmt.Sprintf("from the %dth on", maxFaults),
		"patience never below " + results.Human(patienceFloor),
	} {
		if !strings.Contains(text, figure) {
			t.Errorf("README.md does not say %q", figure)
		}
	}
}
