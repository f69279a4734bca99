package scenarios

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Limits of the format, far beyond what a campaign needs.
const (
	maxStages = 256
	maxLength = 31 * 24 * time.Hour // of all stages together, as written
	maxRate   = 1_000_000_000
	maxThink  = time.Hour
)

// A checker holds what a campaign says against what it may say, wherever it
// came from: a file or another process.
type checker struct {
	faults Faults
	rows   []string // placeholders of the campaign's files
}

func (k *checker) fault(path, hint, format string, args ...any) {
	k.faults = append(k.faults, Fault{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// key notes that the last key of a path is wrong.
func (k *checker) key(path, hint, format string, args ...any) {
	k.fault(path, hint, format, args...)
	k.faults[len(k.faults)-1].onKey = true
}

// check returns what is wrong with the meaning of a campaign, without
// positions. A campaign without faults can be planned with any factors, but
// for the size of the crowd and its limits.
func (c *Campaign) check() Faults {
	k := &checker{rows: c.rowNames()}
	k.name("name", c.Name)
	k.crowd(&c.Crowd)
	k.feeds(c.Data)
	k.factors(c)
	k.target(&c.Target, c.Crowd.Journeys)
	k.expected("expect.turn", c.Expect.Turn)
	k.expected("expect.request", c.Expect.Request)
	k.driven(c.Crowd.Driven, &c.Target)
	k.limits(c.Limits)
	k.thresholds(c)
	k.share("validity.late", c.Validity.Late)
	k.share("validity.orphaned", c.Validity.Orphaned)
	k.share("validity.cpu", c.Validity.CPU)
	k.share("validity.withheld", c.Validity.Withheld)
	if c.Validity.LagP99 <= 0 {
		k.fault("validity.lag_p99", "", "must be longer than nothing")
	}
	if c.Validity.Clock <= 0 {
		k.fault("validity.clock", "", "must be longer than nothing")
	}
	k.audit(c.Audit)
	return k.faults
}

func (k *checker) share(path string, v float64) {
	if !(v >= 0 && v <= 1) {
		k.fault(path, "", "must be between 0 and 1 (100%%), not %v", v)
	}
}

// expected checks how long an answer is said to take.
func (k *checker) expected(path string, d time.Duration) {
	if d < 0 || d > maxThink {
		k.fault(path, "", "must be between 0s and %v", maxThink)
	}
}

func (k *checker) name(path, name string) {
	switch {
	case name == "":
		k.fault(path, "", "is missing")
	case len(name) > 40 || !isName(name):
		k.fault(path, "", "%q must be at most 40 letters, digits and - _ ., and begin with a letter or digit", clip(name, 60))
	}
}

func isName(s string) bool {
	for i, b := range []byte(s) {
		letter := 'a' <= b|0x20 && b|0x20 <= 'z'
		if !letter && !isDigit(b) && (i == 0 || !strings.ContainsRune("-_.", rune(b))) {
			return false
		}
	}
	return s != ""
}

func (k *checker) crowd(c *Crowd) {
	if known := []string{Poisson, Uniform, Gamma}; !slices.Contains(known, c.Process) {
		k.fault("crowd.arrivals.process", didYouMean(c.Process, known), "%q is not an arrival process", clip(c.Process, 40))
	}
	if c.AtOnce > MaxShoppers {
		k.fault("crowd.at_once", "", "must be at most %d", uint64(MaxShoppers))
	}
	k.stages(c)
	k.bursts(c)
	k.weights("crowd.personas", "persona", c.Personas, Personas())
	k.weights("crowd.journeys", "journey", c.Journeys, Journeys())
	k.words(c)
	switch t := c.Think; {
	case t.Median < 0 || t.Median > maxThink:
		k.fault("crowd.think.median", "", "must be between 0s and %v", maxThink)
	case t.P90 < t.Median || t.P90 > maxThink:
		k.fault("crowd.think.p90", "nine in ten think at most this long", "must be between the median, %v, and %v", t.Median, maxThink)
	case t.Median == 0 && t.P90 > 0:
		k.fault("crowd.think.median", "", "is missing")
	}
}

// spread checks a distribution of whole numbers up to most.
func (k *checker) spread(path string, s Spread, most uint64) {
	switch {
	case s.Median < 1 || s.Median > most:
		k.fault(path, "3, or {median: 3, p90: 7}", "must have a median from 1 to %d", most)
	case s.P90 < s.Median || s.P90 > most:
		k.fault(path, "nine in ten have at most so many", "must have a p90 from the median, %d, to %d", s.Median, most)
	}
}

func (k *checker) stages(c *Crowd) {
	const path = "crowd.stages"
	if len(c.Stages) == 0 || len(c.Stages) > maxStages {
		k.fault(path, "- {name: rush, for: 30s, rate: 1}", "must list 1 to %d stages", maxStages)
		return
	}
	var length time.Duration
	var area float64
	before, absolute, unknown := len(k.faults), 0, 0
	seen, mixed := map[string]bool{}, false
	for i, s := range c.Stages {
		at := fmt.Sprintf("%s[%d]", path, i)
		k.stage(at, s)
		if s.Name != "" && seen[s.Name] {
			k.fault(at+".name", "thresholds and reports tell stages by their names", "%q is the name of an earlier stage", s.Name)
		}
		seen[s.Name] = true
		length += min(s.For, maxLength+1)
		area += (s.From + s.To) / 2 * s.For.Seconds()
		switch {
		case math.IsNaN(s.From + s.To):
			unknown++
		case s.Absolute:
			absolute++
		}
		if known := i + 1 - unknown; absolute > 0 && absolute < known && !mixed {
			mixed = true
			k.fault(at+".rate", "write all as 833/s, or all as plain numbers", "mixes relative rates with absolute ones")
		}
	}
	switch {
	case len(k.faults) > before:
	case length > maxLength:
		k.fault(path, "", "last longer than %v together", maxLength)
	case area < 1e-9:
		k.fault(path, "", "have no arrivals: every rate is 0")
	}
	switch {
	case mixed:
	case absolute > 0 && c.Shoppers > 0:
		k.fault("crowd.shoppers", "leave it out, or make the rates relative", "contradicts the absolute rates, which already say how many come")
	case absolute == 0 && c.Shoppers == 0 && unknown == 0:
		k.fault("crowd.shoppers", "relative rates share them out", "is missing, or 0")
	case c.Shoppers > maxCrowd:
		k.fault("crowd.shoppers", "", "must be at most %d", uint64(maxCrowd))
	}
}

func (k *checker) stage(path string, s Stage) {
	k.name(path+".name", s.Name)
	switch {
	case s.For == 0:
		k.fault(path+".for", "", "is missing, or 0")
	case s.For < time.Second || s.For > maxLength:
		k.fault(path+".for", "", "must be between 1s and %v, not %v", maxLength, s.For)
	}
	switch {
	case math.IsNaN(s.From + s.To):
		k.fault(path+".rate", "a number such as 3, or a rate such as 833/s", "is missing")
	case s.From < 0 || s.To < 0 || s.From > maxRate || s.To > maxRate:
		k.fault(path+".rate", "", "must be between 0 and %d", maxRate)
	}
}

// maxCrowd is the largest crowd of a campaign, before its factors.
const maxCrowd = 1_000_000_000_000

func (k *checker) weights(path, what string, weights []Weight, known []string) {
	before := len(k.faults)
	var total float64
	seen := map[string]bool{}
	for _, w := range weights {
		at := path + "." + w.Name
		if !slices.Contains(known, w.Name) {
			k.key(at, didYouMean(w.Name, known), "there is no %s %q", what, clip(w.Name, 60))
		}
		if seen[w.Name] {
			k.fault(at, "", "is given twice")
		}
		seen[w.Name] = true
		if !(w.Share >= 0 && w.Share <= maxRate) {
			k.fault(at, "", "must be a share between 0 and %d", maxRate)
		}
		total += w.Share
	}
	if total <= 0 && len(k.faults) == before {
		k.fault(path, "known: "+strings.Join(known, ", "), "gives no %s a share", what)
	}
}

func (k *checker) factors(c *Campaign) {
	for _, f := range factorRanges(c.Factors) {
		if !f.ok {
			k.fault("factors."+f.name, "", "must be %s, not %v", f.want, f.value)
		}
	}
}

func (k *checker) thresholds(c *Campaign) {
	var stages []string
	for _, s := range c.Crowd.Stages {
		stages = append(stages, s.Name)
	}
	for i, t := range c.Thresholds {
		if s := t.Select.Stage; t.Metric != nil && s != "" && !slices.Contains(stages, s) {
			k.key("thresholds."+c.rules[i].Selector, didYouMean(s, stages), "there is no stage %q", clip(s, 60))
		}
		if c.rules[i].Delay > maxLength {
			k.fault(c.rules[i].path+".delayAbortEval", "", "must be at most %v", maxLength)
		}
	}
}

func (k *checker) target(t *Target, journeys []Weight) {
	k.address("target.url", t.URL)
	k.connection(t)
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		k.header("target.headers."+name, name, t.Headers[name])
		k.filled("target.headers."+name, t.Headers[name], append(t.Login.inHeaders(), k.rows...))
	}
	k.login(t)
	orders := slices.ContainsFunc(journeys, func(w Weight) bool { return w.Share > 0 && slices.Contains(script(w.Name, 1), Complete) })
	k.endpoint("chat", t, t.Chat, true)
	k.endpoint("coupons", t, t.Coupons, false)
	k.endpoint("checkout", t, t.Checkout, orders)
	if t.Chat.Protocol != "" && t.Chat.Protocol != HTTP && t.Chat.Model == "" {
		k.fault("target.chat.model", "the name that requests carry", "is missing")
	}
	if t.Coupons.Protocol != "" && t.Coupons.Protocol != HTTP && t.Coupons.StockID == "" {
		k.fault("target.coupons.stock_id", "which stock coupons are claimed from", "is missing")
	}
}

// address checks an http or https URL, which may be empty.
func (k *checker) address(path, s string) {
	if !k.secrets(path, s) || s == "" || strings.Contains(s, "${") {
		return // what an environment variable holds is checked where it is resolved
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		k.fault(path, "http://127.0.0.1:8080", "must be an http or https URL with a host")
	case u.User != nil:
		k.fault(path, `headers: {Authorization: "Bearer ${TOKEN}"}`, "must not hold a user or password")
	case u.RawQuery != "" || u.Fragment != "":
		k.fault(path, "", "must not have a query or fragment")
	}
}

func (k *checker) header(path, name, value string) {
	if !isToken(name) {
		k.key(path, "", "%q is not the name of a header", clip(name, 60))
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		k.fault(path, "", "must be one line of text")
	}
	if reserved(name) {
		k.key(path, "", "is set by the protocol")
	}
	k.secrets(path, value)
}

// reserved says whether a header is none of the campaign's business.
func reserved(name string) bool {
	switch strings.ToLower(name) {
	case "host", "connection", "content-length", "content-type", "transfer-encoding", "accept", "accept-encoding", "idempotency-key",
		"traceparent", "x-user-id", "x-flashcrowd-run":
		return true
	}
	return false
}

func isToken(s string) bool {
	for _, b := range []byte(s) {
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, b) >= 0 {
			return false
		}
	}
	return s != ""
}

func (k *checker) endpoint(name string, t *Target, e Endpoint, needed bool) {
	path := "target." + name
	if e.absent() {
		if needed {
			k.fault(path, "protocol: "+strings.Join(Protocols(name), " or "), "is missing: the journeys need it")
		}
		return
	}
	if e.Protocol == "" {
		k.fault(path+".protocol", "known: "+strings.Join(Protocols(name), ", "), "is missing")
	} else if !slices.Contains(Protocols(name), e.Protocol) {
		k.fault(path+".protocol", didYouMean(e.Protocol, Protocols(name)), "there is no %s protocol %q", name, clip(e.Protocol, 60))
	} else if versions := Versions(e.Protocol); e.Version != "" && !slices.Contains(versions, e.Version) {
		hint := ""
		if len(versions) > 0 {
			hint = "known: " + strings.Join(versions, ", ")
		}
		k.fault(path+".version", hint, "%s has no version %q", e.Protocol, clip(e.Version, 60))
	}
	if e.Protocol == MCP && e.Path == "" {
		k.fault(path+".path", "/mcp", "is missing: the server has one address")
	}
	if p := e.Path; p != "" && (p[0] != '/' || strings.HasSuffix(p, "/") || strings.ContainsAny(p, "?#\\ \t\r\n")) {
		k.fault(path+".path", "/v1", "%q must begin with / and not end with it, without query and spaces", clip(p, 60))
	}
	if c := e.Currency; c != "" && !isCurrency(c) {
		k.fault(path+".currency", "CNY", "%q is not three capital letters", clip(c, 60))
	}
	k.secrets(path+".path", e.Path)
	k.secrets(path+".model", e.Model)
	k.secrets(path+".stock_id", e.StockID)
	k.refusals(path+".refusals", e.Refusals)
	k.operations(name, t, e)
}

func isCurrency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// secrets checks the ${NAME}s in a text.
func (k *checker) secrets(path, s string) bool {
	if _, ok := secretsIn(s); !ok {
		k.fault(path, "${NAME}, of letters, digits and _", "holds a ${ that is not a name in braces")
		return false
	}
	return true
}

// secretsIn returns the NAMEs of each ${NAME} in s, and false if one is broken.
func secretsIn(s string) (names []string, ok bool) {
	for {
		_, rest, found := strings.Cut(s, "${")
		if !found {
			return names, true
		}
		name, rest, closed := strings.Cut(rest, "}")
		if !closed || !isVariable(name) {
			return names, false
		}
		names, s = append(names, name), rest
	}
}

func isVariable(s string) bool {
	for i, b := range []byte(s) {
		letter := 'a' <= b|0x20 && b|0x20 <= 'z'
		if !letter && b != '_' && (i == 0 || !isDigit(b)) {
			return false
		}
	}
	return s != ""
}
