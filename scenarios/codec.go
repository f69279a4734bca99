package scenarios

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/books"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// planFormat is the version of a plan's encoding and of everything drawn from
// it. It is part of the plan's fingerprint.
const planFormat = 1

// canonical is the meaning of a campaign: no comments, no order of keys, no
// address, no headers and no certificates, so that the same crowd at another
// backend has the same form.
type canonical struct {
	Name       string          `json:"name"`
	Seed       uint64          `json:"seed"`
	Crowd      Crowd           `json:"crowd"`
	Data       map[string]Feed `json:"data,omitempty"`
	Factors    results.Factors `json:"factors"`
	Target     Target          `json:"target"`
	Limits     Limits          `json:"limits"`
	Thresholds []rule          `json:"thresholds"` // sorted
	Validity   validity        `json:"validity"`
}

// validity is verdict.Validity with names for a file.
type validity struct {
	Late     float64       `json:"late_ratio"`
	Orphaned float64       `json:"orphaned_ratio"`
	LagP99   time.Duration `json:"lag_p99_ns"`
	CPU      float64       `json:"cpu_ratio"`
	Clock    time.Duration `json:"clock_ns,omitempty"` // 0 for the default
	Withheld float64       `json:"withheld_ratio"`
}

func (c *Campaign) canonical() canonical {
	form := canonical{
		Name: c.Name, Seed: c.Seed, Crowd: c.Crowd, Data: c.Data, Factors: c.Factors, Target: c.Target, Limits: c.Limits,
		Thresholds: slices.Clone(c.rules),
		Validity:   validity{c.Validity.Late, c.Validity.Orphaned, c.Validity.LagP99, c.Validity.CPU, c.Validity.Clock, c.Validity.Withheld},
	}
	if form.Validity.Clock == verdict.DefaultValidity.Clock {
		form.Validity.Clock = 0
	}
	form.Target = c.Target.anywhere()
	slices.SortStableFunc(form.Thresholds, func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.Selector, b.Selector), cmp.Compare(a.Expression, b.Expression))
	})
	return form
}

// Canonical returns the meaning of the campaign as JSON, the same bytes for
// the same meaning. It holds neither the target's address nor its headers.
func (c *Campaign) Canonical() []byte { return marshal(c.canonical()) }

// Secrets lists the NAME of each ${NAME} in the target, sorted.
func (c *Campaign) Secrets() []string { return c.Target.secrets() }

// Secrets lists the NAME of each ${NAME} that this run needs, sorted.
func (p *Plan) Secrets() []string { return p.Target.secrets() }

func (t *Target) secrets() []string {
	texts := []string{t.URL, t.TLS.CA, t.TLS.Cert, t.TLS.Key}
	for _, value := range t.Headers {
		texts = append(texts, value)
	}
	for _, e := range []Endpoint{t.Chat, t.Coupons, t.Checkout} {
		texts = append(texts, e.texts()...)
	}
	for _, o := range t.Login.operations() {
		texts = append(texts, o.texts()...)
	}
	var names []string
	for _, text := range texts {
		found, _ := secretsIn(text) // checked
		names = append(names, found...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// wirePlan is a plan between coordinator, worker and child.
type wirePlan struct {
	Format   int             `json:"format"`
	Campaign canonical       `json:"campaign"`
	Factors  results.Factors `json:"factors"`
	Pins     map[string]Pin  `json:"pins,omitempty"`
	Target   Target          `json:"target"`          // whole; secrets still as ${NAME}
	Audit    *books.Mapping  `json:"audit,omitempty"` // likewise
}

// Encode returns the plan for DecodePlan, the same bytes for the same plan.
func (p *Plan) Encode() []byte {
	return marshal(wirePlan{planFormat, p.Campaign.canonical(), p.Factors, p.Pins, p.Target, p.Campaign.Audit})
}

// maxPlan is the largest encoded plan, in bytes.
const maxPlan = 1 << 20

// DecodePlan returns the plan that Encode wrote. It trusts nothing: whatever a
// campaign's file may not say, a plan may not either, and bytes that Encode
// would not write are refused.
func DecodePlan(data []byte) (*Plan, error) {
	p, err := decodePlan(data)
	if err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	return p, nil
}

func decodePlan(data []byte) (*Plan, error) {
	if len(data) > maxPlan {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(data), maxPlan)
	}
	var w wirePlan
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, err
	}
	if w.Format != planFormat {
		return nil, fmt.Errorf("it has format %d, this flashcrowd speaks %d\nhint: run the same version on every machine", w.Format, planFormat)
	}
	form := w.Campaign
	c := &Campaign{
		Name: form.Name, Seed: form.Seed, Crowd: form.Crowd, Data: form.Data, Factors: form.Factors, Target: w.Target, Limits: form.Limits,
		Validity: verdict.Validity{
			Late: form.Validity.Late, Orphaned: form.Validity.Orphaned,
			LagP99: form.Validity.LagP99, CPU: form.Validity.CPU, Withheld: form.Validity.Withheld,
			Clock: cmp.Or(form.Validity.Clock, verdict.DefaultValidity.Clock),
		},
		Audit: w.Audit,
		rules: form.Thresholds,
	}
	var faults Faults
	c.Thresholds, faults = compile(c.rules)
	if err := append(faults, c.check()...).err(); err != nil {
		return nil, err
	}
	p, err := c.plan(w.Factors)
	if err != nil {
		return nil, err
	}
	files := c.files()
	for name := range w.Pins {
		if files[name] == "" {
			return nil, fmt.Errorf("it says what is in %q, which it does not read", clip(name, 40))
		}
	}
	p.Pins = w.Pins
	if !bytes.Equal(p.Encode(), data) {
		return nil, errors.New("it is not in the form in which plans are written")
	}
	return p, nil
}

// Fingerprint returns 64 hexadecimal digits, equal for plans that send the
// same crowd to the same protocols under the same rules. Where the target is
// does not count, so that designs can be compared under one fingerprint, nor
// does who keeps its books and how: reading them sends no shopper.
func (p *Plan) Fingerprint() string {
	campaign := p.Campaign.canonical()
	campaign.Factors = results.Factors{} // a suggestion; what applies stands beside it
	sum := sha256.Sum256(marshal(wirePlan{Format: planFormat, Campaign: campaign, Factors: p.Factors, Pins: p.Pins}))
	return hex.EncodeToString(sum[:])
}

func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // people read thresholds, and they hold < and >
	if err := e.Encode(v); err != nil {
		panic("encode a plan: " + err.Error()) // checked: no NaN, no channel
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
