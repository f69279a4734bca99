package extensions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/grafana/sobek"
	"go.k6.io/k6/v2/errext"
	"go.k6.io/k6/v2/js/common"
	"go.k6.io/k6/v2/js/modules"
	"go.k6.io/k6/v2/metrics"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// module is k6/x/flashcrowd for the whole process.
type module struct {
	session *session
	running sync.Mutex // one crowd at a time: its metrics would mix
	stands  stands
}

// instance is the module in one VU.
type instance struct {
	*module
	vu      modules.VU
	metrics map[*results.Metric]*metrics.Metric
	engines map[*stand]*crowd.Engine // of scripted shoppers
	guest   *crowd.Guest             // of this iteration, or of one before
}

// NewModuleInstance implements modules.Module.
func (m *module) NewModuleInstance(vu modules.VU) modules.Instance {
	i := &instance{module: m, vu: vu}
	if env := vu.InitEnv(); env != nil {
		known, err := register(env.Registry)
		if err != nil {
			common.Throw(vu.Runtime(), fmt.Errorf("register flashcrowd's metrics: %w", err))
		}
		i.metrics = known
	}
	return i
}

// Exports implements modules.Instance.
func (i *instance) Exports() modules.Exports {
	exports := map[string]any{"run": i.run, "Shopper": i.shopper}
	return modules.Exports{Default: exports, Named: exports}
}

// run runs the crowd and returns when it has ended. It blocks the VU, whose one
// iteration it is. An error aborts the test: thrown as an exception it would
// leave k6 with nothing measured, and thresholds that nothing broke.
func (i *instance) run(value sobek.Value) {
	if err := i.crowd(value); err != nil {
		i.vu.Runtime().Interrupt(&errext.InterruptError{Reason: errext.AbortTest + ": flashcrowd: " + err.Error()})
	}
}

// crowd is run with an error.
func (i *instance) crowd(value sobek.Value) error {
	state := i.vu.State()
	if state == nil {
		return errors.New("flashcrowd.run() belongs into the default function, not into the init context")
	}
	if !i.running.TryLock() {
		return errors.New("flashcrowd.run() runs already: use one VU and one iteration")
	}
	defer i.running.Unlock()

	ctx, end := context.WithCancelCause(i.vu.Context())
	defer end(nil)
	switch err := i.session.open(); {
	case err == nil:
		facts := newCourier(state.Samples)
		defer facts.flush()
		engine, err := i.engine(i.session.setup, false, facts.emit, end)
		if err != nil {
			i.session.fail(err)
			return err
		}
		i.session.streams = engine.Streams
		close(i.session.ready)
		go i.session.follow(engine, end) // until the link ends, with this process
		if err := engine.Run(ctx); err != nil {
			i.session.fail(err)
			return err
		}
		return nil
	case !errors.Is(err, link.ErrNoLink):
		return err
	}

	o, err := i.options(runName, value)
	if err != nil {
		return err
	}
	setup, plan, err := o.alone(runName)
	if err != nil {
		return err
	}
	engine, err := i.engine(setup, true, i.samples(), end)
	if err != nil {
		return err
	}
	whole := everything(plan)
	engine.Lease(whole) // draws the crowd
	whole.Started, whole.Clock = true, scenarios.Clock{Zero: scenarios.Boottime() + 200*time.Millisecond}
	engine.Lease(whole)
	if err := engine.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// engine builds the engine for a setup, which emits its facts into emit. It is
// ended when the campaign's files can't be read any more.
func (i *instance) engine(setup link.Setup, alone bool, emit func(results.Fact), end func(error)) (*crowd.Engine, error) {
	plan, err := read(setup, end)
	if err != nil {
		return nil, err
	}
	if !alone {
		if err := given(plan, setup.Env); err != nil {
			return nil, err
		}
	}
	config, err := Outfit(plan, terms(setup))
	if err != nil {
		return nil, err
	}
	if target, ok := config.Dialer.(*wire.Target); ok && !alone {
		looking, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := target.Permitted(looking); err != nil {
			return nil, err
		}
	}
	config.Alone, config.Emit = alone, emit
	return crowd.New(config), nil
}

// given says which variable a plan asks for that the worker's user did not name:
// whoever holds the cluster key could send one that reads them all.
func given(plan *scenarios.Plan, env map[string]string) error {
	for _, name := range plan.Secrets() {
		if _, ok := env[name]; !ok {
			return fmt.Errorf("the plan asks for ${%s}, which is not on this worker's --env list, or not set\nhint: export %[1]s=… and --env %[1]s on the worker, if that is meant", name)
		}
	}
	return nil
}

// samples returns what turns facts into samples: k6's thresholds, summary and
// outputs listen.
func (i *instance) samples() func(results.Fact) {
	state := i.vu.State()
	c := &catalogue{metrics: i.metrics, root: state.Tags.GetCurrentValues().Tags, tags: make(map[results.Tags]*metrics.TagSet)}
	return func(f results.Fact) {
		state.Samples <- &parcel{facts: []results.Fact{f}, samples: c.samples(f, time.Now())}
	}
}

// read reads a setup's plan and the campaign's files with it. What goes wrong
// with these later is told to end.
func read(setup link.Setup, end func(error)) (*scenarios.Plan, error) {
	plan, err := scenarios.DecodePlan(setup.Plan)
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	return plan, plan.Attach(setup.Data, end)
}

// terms are those of a setup.
func terms(setup link.Setup) Terms {
	return Terms{Run: setup.Run, Env: setup.Env, Allow: setup.Allow}
}

// alone makes the setup that a worker would send of a script's options.
func (o options) alone(name string) (link.Setup, *scenarios.Plan, error) {
	campaign, err := scenarios.Load(o.Campaign)
	if err != nil {
		return link.Setup{}, nil, err
	}
	plan, err := campaign.Plan(o.Factors)
	if err != nil {
		return link.Setup{}, nil, err
	}
	if err := plan.Pin(campaign.Dir); err != nil {
		return link.Setup{}, nil, err
	}
	if o.Target != "" {
		plan.Target.URL = o.Target
	}
	if plan.Target.URL == "" {
		return link.Setup{}, nil, fmt.Errorf("%s needs {target: URL}: start one with: flashcrowd storefront", name)
	}
	env := make(map[string]string)
	for _, name := range plan.Secrets() {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	return link.Setup{Run: "xk6", Plan: plan.Encode(), Env: env, Allow: o.Allow, Data: campaign.Dir}, plan, nil
}

// everything is the lease of an engine that nobody leads: the whole crowd, for
// ever. When it starts is said once the crowd is drawn.
func everything(p *scenarios.Plan) crowd.Lease {
	spans := make([]scenarios.Span, scenarios.Slots)
	for slot := range spans {
		spans[slot] = scenarios.Span{Slot: scenarios.Slot(slot), To: p.Duration() + 1, Grant: 1}
	}
	return crowd.Lease{Version: 1, Spans: spans, Deadline: 1<<63 - 1}
}
