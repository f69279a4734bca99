package extensions

import (
	"fmt"

	"strings"

	"github.com/grafana/sobek"
	"go.k6.io/k6/v2/js/common"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// options are what a script gives to run(); a worker's child needs none.
type options struct {
	Campaign string   // an embedded campaign's name, or a path
	Target   string   // URL; empty: the campaign's own
	Allow    []string // addresses it may fire at; empty: loopback
	Factors  results.Factors

	// Of a scripted shopper alone.
	Persona, Journey string // instead of those that were drawn
	Number           int64  // which of the crowd; by default that of k6's iteration
	Numbered         bool   // Number is set
	Raw              bool   // nothing is repeated of its own accord
}

// options reads them. Like a campaign's keys, an unknown one is a fault: a
// misspelt scale would send the whole crowd.
// What takes the options is told by its name.
func (i *instance) options(name string, value sobek.Value) (o options, err error) {
	rt := i.vu.Runtime()
	if !common.IsNullish(value) {
		object := value.ToObject(rt)
		for _, key := range object.Keys() {
			if common.IsNullish(object.Get(key)) { // as if left out
				continue
			}
			if err := o.set(rt, key, object.Get(key), name == shopperName); err != nil {
				return options{}, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if o.Campaign == "" {
		return options{}, fmt.Errorf("%s needs {campaign: …}: a path, or one of %s", name, strings.Join(scenarios.Embedded(), ", "))
	}
	return o, nil
}

// Who takes options.
const (
	runName     = "flashcrowd.run()"
	shopperName = "new Shopper()"
)

func (o *options) set(rt *sobek.Runtime, key string, value sobek.Value, scripted bool) error {
	factors := map[string]*float64{
		"scale": &o.Factors.Scale, "demand": &o.Factors.Demand, "compress": &o.Factors.Compress, "pace": &o.Factors.Pace,
	}
	switch factor := factors[key]; {
	case factor != nil: // a number, or text such as 1/1000
		f, err := scenarios.ParseFactor(value.String())
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if f <= 0 {
			return fmt.Errorf("%s: a factor is greater than 0", key)
		}
		*factor = f
	case key == "campaign":
		o.Campaign = value.String()
	case key == "target":
		o.Target = value.String()
	case key == "allow":
		if err := rt.ExportTo(value, &o.Allow); err != nil {
			return fmt.Errorf("allow: want a list of addresses: %w", err)
		}
	case scripted && key == "persona":
		o.Persona = value.String()
	case scripted && key == "journey":
		o.Journey = value.String()
	case scripted && key == "raw":
		o.Raw = value.ToBoolean()
	case scripted && key == "number":
		if o.Number, o.Numbered = value.ToInteger(), true; o.Number < 0 || float64(o.Number) != value.ToFloat() {
			return fmt.Errorf("number: want a whole number from 0, not %v", value)
		}
	default:
		known := []string{"allow", "campaign", "compress", "demand", "pace", "scale", "target"}
		if scripted {
			known = append(known, "persona", "journey", "number", "raw")
		}
		return fmt.Errorf("there is no option %q; known: %s", key, strings.Join(known, ", "))
	}
	return nil
}
