package scenarios

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// MaxSize is the largest campaign file, in bytes.
const MaxSize = 64 << 10

// Parse reads a campaign in YAML; filename is for messages. It returns every
// fault it finds at once, as Faults.
//
// It has three passes: the shape of the file, with defaults for what is left
// out; then what the values mean together (check); then positions for that.
// What a wrong shape makes wrong in meaning is reported once.
//
// Certificates are in the text itself: Load finds those in files.
func Parse(filename string, src []byte) (*Campaign, error) { return parseWith(filename, src, nil) }

// parseWith is Parse with a way to open the certificate files that src names.
func parseWith(filename string, src []byte, open func(name string) (string, error)) (*Campaign, error) {
	r := &reader{file: filename, open: open, places: map[string]*token.Position{}, keys: map[string]*token.Position{}}
	root, ok := r.document(src)
	if !ok {
		return nil, r.faults.err()
	}
	c := r.campaign(field{"", root})
	var meaning Faults
	c.Thresholds, meaning = compile(c.rules)
	meaning = append(meaning, c.check()...)
	for _, f := range meaning {
		if !slices.ContainsFunc(r.unread, func(path string) bool { return related(f.Path, path) }) {
			at := r.place(f.Path)
			if f.onKey {
				at = r.keys[f.Path]
			}
			r.fault(at, f.Path, f.Hint, "%s", f.Message)
		}
	}
	if err := r.faults.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// related says whether one path leads to the other.
func related(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return a == "" || a == b || strings.HasPrefix(b, a) && (b[len(a)] == '.' || b[len(a)] == '[')
}

// place returns where a path is in the file, or the nearest thing around it.
func (r *reader) place(path string) *token.Position {
	for path != "" {
		if at := r.places[path]; at != nil {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return nil
}

func (r *reader) campaign(root field) *Campaign {
	top := r.mapping(root, "name", "seed", "crowd", "data", "factors", "target", "expect", "limits", "thresholds", "validity", "audit")
	c := &Campaign{
		Seed:     1,
		Factors:  results.Factors{Scale: 1, Demand: 1, Compress: 1, Pace: 1},
		Validity: verdict.DefaultValidity,
	}
	r.text(top["name"], &c.Name)
	r.count(top["seed"], &c.Seed)
	c.Crowd = r.crowd(top["crowd"])
	c.Data = r.feeds(top["data"])

	factors := r.mapping(top["factors"], "scale", "demand", "compress", "pace")
	for key, to := range map[string]*float64{
		"scale": &c.Factors.Scale, "demand": &c.Factors.Demand, "compress": &c.Factors.Compress, "pace": &c.Factors.Pace,
	} {
		read(r, factors[key], to, "a number or a fraction such as 1/1000", ParseFactor)
	}

	c.Target = r.target(top["target"])
	expect := r.mapping(top["expect"], "turn", "request")
	c.Expect = Expect{Turn: expectedTurn, Request: expectedRequest}
	r.duration(expect["turn"], &c.Expect.Turn)
	r.duration(expect["request"], &c.Expect.Request)
	c.Limits = r.limits(top["limits"])
	c.rules = r.rules(top["thresholds"])

	validity := r.mapping(top["validity"], "late", "orphaned", "lag_p99", "cpu", "clock", "withheld")
	r.ratio(validity["late"], &c.Validity.Late)
	r.ratio(validity["orphaned"], &c.Validity.Orphaned)
	r.duration(validity["lag_p99"], &c.Validity.LagP99)
	r.ratio(validity["cpu"], &c.Validity.CPU)
	r.duration(validity["clock"], &c.Validity.Clock)
	r.ratio(validity["withheld"], &c.Validity.Withheld)
	c.Audit = r.audit(top["audit"])
	return c
}

func (r *reader) crowd(f field) Crowd {
	crowd := Crowd{
		Process:  Poisson,
		Personas: []Weight{{"patient", 1}},
		Journeys: []Weight{{"order", 1}},
		Turns:    Spread{3, 3}, // "usually 2-3 turns to payment"
	}
	fields := r.mapping(f, "shoppers", "at_once", "arrivals", "stages", "personas", "journeys", "think", "turns", "words", "driven")
	r.count(fields["shoppers"], &crowd.Shoppers)
	r.some(fields["at_once"], &crowd.AtOnce)
	arrivals := r.mapping(fields["arrivals"], "process", "cv", "every")
	r.text(arrivals["process"], &crowd.Process)
	if crowd.Process == Gamma {
		crowd.Bursts.Every = time.Second
	}
	r.number(arrivals["cv"], &crowd.Bursts.CV)
	r.duration(arrivals["every"], &crowd.Bursts.Every)
	for _, item := range r.items(fields["stages"]) {
		crowd.Stages = append(crowd.Stages, r.stage(item))
	}
	r.weights(fields["personas"], &crowd.Personas)
	r.weights(fields["journeys"], &crowd.Journeys)
	think := r.mapping(fields["think"], "median", "p90")
	r.duration(think["median"], &crowd.Think.Median)
	r.duration(think["p90"], &crowd.Think.P90)
	r.spread(fields["turns"], &crowd.Turns)
	r.words(fields["words"], fields["turns"], &crowd)
	if f := fields["driven"]; f.node != nil {
		crowd.Driven = r.driven(f)
	}
	return crowd
}

// spread reads a number, or its median and p90.
func (r *reader) spread(f field, to *Spread) {
	switch f.node.(type) {
	case nil:
	case *ast.MappingNode, *ast.MappingValueNode:
		*to = Spread{}
		fields := r.mapping(f, "median", "p90")
		r.count(fields["median"], &to.Median)
		r.count(fields["p90"], &to.P90)
	default:
		r.count(f, &to.Median)
		to.P90 = to.Median
	}
}

func (r *reader) stage(f field) Stage {
	var s Stage
	fields := r.mapping(f, "name", "for", "rate")
	r.text(fields["name"], &s.Name)
	r.duration(fields["for"], &s.For)
	from, to := unknownRate, unknownRate
	switch given := fields["rate"]; given.node.(type) {
	case nil:
	case *ast.SequenceNode:
		ends := r.items(given)
		if len(ends) != 2 {
			r.misread(given, "", "a ramp has two ends, [from, to], not %d", len(ends))
			break
		}
		r.rate(ends[0], &from)
		r.rate(ends[1], &to)
		if from.absolute != to.absolute && !math.IsNaN(from.value+to.value) {
			r.misread(given, "give both ends of the ramp the same unit", "mixes a relative rate with an absolute one")
			from, to = unknownRate, unknownRate
		}
	default:
		r.rate(given, &from)
		to = from
	}
	s.From, s.To, s.Absolute = from.value, to.value, from.absolute
	return s
}

// A rate is a relative weight, or arrivals per second when absolute.
type rate struct {
	value    float64
	absolute bool
}

// unknownRate is one that is missing or has a fault.
var unknownRate = rate{value: math.NaN()}

func (r *reader) rate(f field, to *rate) {
	read(r, f, to, "a number such as 3, or a rate such as 833/s, 600/m or 1_000/h", func(s string) (rate, error) {
		number, unit, absolute := strings.Cut(s, "/")
		v, err := parseNumber(number)
		if err == nil && absolute {
			switch unit {
			case "s":
			case "m":
				v /= 60
			case "h":
				v /= 3600
			default:
				err = errNumber
			}
		}
		return rate{v, absolute}, err
	})
}

func (r *reader) weights(f field, to *[]Weight) {
	if f.node == nil {
		return
	}
	*to = nil
	keys, values := r.pairs(f)
	for i, name := range keys {
		w := Weight{Name: name}
		r.number(values[i], &w.Share)
		*to = append(*to, w)
	}
}

func (r *reader) target(f field) Target {
	var t Target
	fields := r.mapping(f, append([]string{"url", "headers", "login", "chat", "coupons", "checkout"}, connectionKeys...)...)
	r.text(fields["url"], &t.URL)
	r.texts(fields["headers"], &t.Headers)
	t.Connection = r.connection(fields)
	t.Login = r.login(fields["login"])
	t.Chat = r.endpoint(fields["chat"], "protocol", "path", "model", "refusals", "turn")
	t.Coupons = r.endpoint(fields["coupons"], "protocol", "version", "path", "stock_id", "claim")
	t.Checkout = r.endpoint(fields["checkout"], "protocol", "version", "path", "currency", "search", "create", "update", "complete")
	return t
}

func (r *reader) endpoint(f field, known ...string) Endpoint {
	var e Endpoint
	fields := r.mapping(f, known...)
	for key, to := range map[string]*string{
		"protocol": &e.Protocol, "version": &e.Version, "path": &e.Path, "model": &e.Model, "stock_id": &e.StockID, "currency": &e.Currency,
	} {
		if slices.Contains(known, key) {
			r.text(fields[key], to)
		}
	}
	if slices.Contains(known, "refusals") {
		e.Refusals = r.refusals(fields["refusals"])
	}
	for kind := Turn; kind <= Search; kind++ {
		if f := fields[kind.String()]; f.node != nil && slices.Contains(known, kind.String()) {
			set(&e.Operations, kind.String(), r.operation(f, kind))
		}
	}
	if versions := Versions(e.Protocol); e.Version == "" && len(versions) > 0 {
		e.Version = versions[0]
	}
	return e
}

// rules reads the thresholds: for each selector one expression, or a list of
// expressions and of mappings that say when a broken one ends the run.
func (r *reader) rules(f field) []rule {
	var rules []rule
	selectors, values := r.pairs(f)
	for i, selector := range selectors {
		list := []field{values[i]}
		if _, ok := values[i].node.(*ast.SequenceNode); ok {
			list = r.items(values[i])
		}
		for _, item := range list {
			if item.node == nil {
				continue
			}
			t := rule{Selector: selector, path: item.path}
			switch item.node.(type) {
			case *ast.MappingNode, *ast.MappingValueNode:
				fields := r.mapping(item, "threshold", "abortOnFail", "delayAbortEval")
				r.text(fields["threshold"], &t.Expression)
				r.flag(fields["abortOnFail"], &t.Abort)
				r.duration(fields["delayAbortEval"], &t.Delay)
			default:
				r.text(item, &t.Expression)
			}
			rules = append(rules, t)
		}
	}
	return rules
}

// compile parses the thresholds. One with a fault has no metric.
func compile(rules []rule) ([]verdict.Threshold, Faults) {
	var thresholds []verdict.Threshold
	var faults Faults
	for _, r := range rules {
		t, err := verdict.ParseThreshold(r.Selector, r.Expression, r.Abort, r.Delay)
		if err != nil {
			faults = append(faults, Fault{Path: r.path, Message: err.Error()})
		}
		thresholds = append(thresholds, t)
	}
	return thresholds, faults
}
