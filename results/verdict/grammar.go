package verdict

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

// An expression is the right half of a threshold: aggregation operator limit.
type expression struct {
	method string  // avg, min, max, med, p, count, rate
	q      float64 // of p(N): N / 100
	op     string
	limit  float64 // nanoseconds for a trend, a count, a rate in each second, or a ratio
}

// methods are the aggregations that fit each kind of metric, as in k6.
func methods(k results.Kind) []string {
	switch k {
	case results.Trend:
		return []string{"avg", "min", "max", "med", "p"}
	case results.Counter:
		return []string{"count", "rate"}
	case results.Rate:
		return []string{"rate"}
	}
	return nil
}

// operators, the longer before those they begin with.
func operators() []string { return []string{"===", "==", "!=", "<=", ">=", "<", ">"} }

// ParseThreshold reads one threshold of a campaign.
//
// The selector is a metric of the catalogue, narrowed to tags that it has:
// turn_ttft or turn_ttft{stage:noon}. The expression is k6's grammar:
//
//	avg, min, max, med, p(N) of a trend   p(99.9) < 2s   bare numbers are milliseconds
//	count, rate of a counter              rate >= 50     rate is in each second of plan time
//	rate of a rate metric                 rate > 0.99    a share, from 0 to 1
//
// with the operators > >= < <= == === !=. What k6 has not: a duration (2s,
// 1.5ms) as the limit of a trend. abortOnFail and delay are kept as they are.
//
// Errors say the column, what is expected there and, for names, what is near.
func ParseThreshold(selector, expr string, abortOnFail bool, delay time.Duration) (Threshold, error) {
	t := Threshold{
		Source:         strings.TrimSpace(selector) + ": " + strings.TrimSpace(expr),
		AbortOnFail:    abortOnFail,
		DelayAbortEval: delay,
	}
	var err error
	if t.Metric, t.Select, err = parseSelector(selector); err != nil {
		return Threshold{}, fmt.Errorf("threshold on %q: %w", selector, err)
	}
	if t.expr, err = parseExpression(expr, t.Metric); err != nil {
		return Threshold{}, fmt.Errorf("threshold %q on %s: %w", expr, t.Metric.Name, err)
	}
	if delay < 0 {
		return Threshold{}, fmt.Errorf("threshold %q on %s: delayAbortEval %v is negative", expr, t.Metric.Name, delay)
	}
	return t, nil
}

// scanner reads a text from left to right and knows where it is.
type scanner struct {
	text string
	at   int
}

func (s *scanner) space() {
	s.at = len(s.text) - len(strings.TrimLeft(s.text[s.at:], " \t"))
}

// word takes the characters that ok accepts.
func (s *scanner) word(ok func(byte) bool) string {
	from := s.at
	for s.at < len(s.text) && ok(s.text[s.at]) {
		s.at++
	}
	return s.text[from:s.at]
}

// take takes what, or nothing.
func (s *scanner) take(what string) bool {
	if !strings.HasPrefix(s.text[s.at:], what) {
		return false
	}
	s.at += len(what)
	return true
}

// expected is the error for what stands at column at.
func (s *scanner) expected(at int, what string, args ...any) error {
	found := "nothing more"
	if rest := s.text[at:]; rest != "" {
		found = fmt.Sprintf("%.32q", rest)
	}
	return fmt.Errorf("column %d: expected %s, found %s", at+1, fmt.Sprintf(what, args...), found)
}

func isName(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isNumber(c byte) bool { return '0' <= c && c <= '9' || strings.IndexByte(".eE+-", c) >= 0 }

// parseSelector reads name or name{tag:value,…}; values may be quoted, as in k6.
func parseSelector(text string) (*results.Metric, results.Tags, error) {
	var sel results.Tags
	s := &scanner{text: text}
	s.space()
	from := s.at
	name := s.word(isName)
	m := results.MetricByName(name)
	if m == nil {
		var names []string
		for _, m := range results.Catalogue() {
			names = append(names, m.Name)
		}
		if name == "" {
			return nil, sel, s.expected(from, "a metric such as %s", names[0])
		}
		return nil, sel, fmt.Errorf("column %d: unknown metric %q%s", from+1, name, near(name, names))
	}
	s.space()
	if s.at == len(text) {
		return m, sel, nil
	}
	if !s.take("{") {
		return nil, sel, s.expected(s.at, `"{" or the end`)
	}
	for {
		s.space()
		if err := parseTag(s, m, &sel); err != nil {
			return nil, sel, err
		}
		if s.take("}") {
			break
		}
		if !s.take(",") {
			return nil, sel, s.expected(s.at, `"," or "}"`)
		}
	}
	s.space()
	if s.at < len(text) {
		return nil, sel, s.expected(s.at, "the end")
	}
	return m, sel, nil
}

// parseTag reads tag:value into sel, up to the comma or brace that follows.
func parseTag(s *scanner, m *results.Metric, sel *results.Tags) error {
	from := s.at
	tag := unquote(s.word(func(c byte) bool { return strings.IndexByte(":,{}", c) < 0 }))
	if !s.take(":") {
		return s.expected(from, "tag:value")
	}
	if !slices.Contains(m.Tags, tag) {
		return fmt.Errorf("column %d: %s has no tag %q: it has %s", from+1, m.Name, tag, strings.Join(m.Tags, ", "))
	}
	if sel.Value(tag) != "" {
		return fmt.Errorf("column %d: the tag %s is given twice", from+1, tag)
	}
	from = s.at
	value := unquote(s.word(func(c byte) bool { return strings.IndexByte(",{}", c) < 0 }))
	if value == "" {
		return s.expected(from, "a value of %s", tag)
	}
	if tag == "outcome" {
		if _, err := results.ParseOutcome(value); err != nil {
			var names []string
			for _, o := range results.Outcomes() {
				names = append(names, o.String())
			}
			return fmt.Errorf("column %d: %w%s", from+1, err, near(value, names))
		}
	}
	*sel = sel.With(tag, value)
	return nil
}

func unquote(s string) string { return strings.Trim(strings.TrimSpace(s), `"'`) }

func parseExpression(text string, m *results.Metric) (e expression, err error) {
	s := &scanner{text: text}
	s.space()
	from := s.at
	e.method = s.word(isName)
	fit := methods(m.Kind)
	shown := strings.Replace(strings.Join(fit, ", "), ", p", ", p(N)", 1)
	switch {
	case e.method == "value":
		return e, fmt.Errorf("column %d: value is for gauges and there are none: expected %s", from+1, shown)
	case !slices.Contains(fit, e.method):
		return e, s.expected(from, "%s", shown)
	case e.method == "p":
		if e.q, err = parsePercentile(s); err != nil {
			return e, err
		}
	}
	s.space()
	for _, op := range operators() {
		if s.take(op) {
			e.op = op
			break
		}
	}
	if e.op == "" {
		return e, s.expected(s.at, "an operator (%s)", strings.Join(operators(), " "))
	}
	s.space()
	e.limit, err = parseLimit(s, m.Kind)
	return e, err
}

func parsePercentile(s *scanner) (q float64, err error) {
	s.space()
	if !s.take("(") {
		return 0, s.expected(s.at, `"(" and a percentile, as in p(99)`)
	}
	s.space()
	from := s.at
	n, err := strconv.ParseFloat(s.word(isNumber), 64)
	if err != nil || !(n >= 0 && n <= 100) {
		return 0, s.expected(from, "a percentile from 0 to 100")
	}
	s.space()
	if !s.take(")") {
		return 0, s.expected(s.at, `")"`)
	}
	return n / 100, nil
}

// parseLimit reads what the metric is held against, up to the end.
func parseLimit(s *scanner, k results.Kind) (float64, error) {
	from := s.at
	rest := strings.TrimRight(s.text[from:], " \t")
	s.at = len(s.text)
	wanted := map[results.Kind]string{
		results.Trend:   "a duration (2s) or a number of milliseconds",
		results.Counter: "a number",
		results.Rate:    "a share from 0 to 1",
	}[k]
	if strings.Trim(rest, "0123456789.eE+-") == "" { // no hexadecimal, no infinity
		v, err := strconv.ParseFloat(rest, 64)
		switch {
		case err != nil, k == results.Rate && (v < 0 || v > 1):
		case k != results.Trend:
			return v, nil
		case math.Abs(v) < math.MaxInt64/1e6:
			return v * float64(time.Millisecond), nil
		}
	} else if d, err := time.ParseDuration(rest); err == nil && k == results.Trend {
		return float64(d), nil
	}
	return 0, s.expected(from, "%s", wanted)
}
