package extensions

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grafana/sobek"
	"go.k6.io/k6/v2/errext"
	"go.k6.io/k6/v2/js/common"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// stands are what scripted shoppers need and all VUs share: a plan and the
// protocols to carry it out, by the options that name them.
type stands struct {
	mu    sync.Mutex
	known map[string]*stand
}

type stand struct {
	config crowd.Config
	err    error // why it can't be had, or its files can't be read any more
	mu     sync.Mutex
}

// take returns the stand for some options; all who ask for the same get one.
func (s *stands) take(o options) (*stand, error) {
	key := fmt.Sprintf("%q %q %q %+v", o.Campaign, o.Target, o.Allow, o.Factors)
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.known[key]
	if !ok {
		found = &stand{}
		if s.known == nil {
			s.known = make(map[string]*stand)
		}
		s.known[key] = found
		setup, _, err := o.alone(shopperName)
		var plan *scenarios.Plan
		if err == nil {
			plan, err = read(setup, found.fail)
		}
		if err == nil {
			found.config, err = Outfit(plan, terms(setup))
		}
		if err != nil {
			found.fail(err)
		}
	}
	found.mu.Lock()
	defer found.mu.Unlock()
	return found, found.err
}

// fail keeps the first reason for which there is nothing to be had any more.
func (s *stand) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// scripted is a Shopper in JavaScript. Its methods block the VU.
type scripted struct {
	i     *instance
	guest *crowd.Guest

	Number  int64  `js:"number"` // as flashcrowd try --shopper takes it
	ID      string `js:"id"`     // the same as reports spell it
	User    string `js:"user"`
	Persona string `js:"persona"`
	Journey string `js:"journey"`
	Stage   string `js:"stage"`
	Drops   bool   `js:"drops"` // its persona leaves with the coupon instead of ordering
}

// A visit is what came of a step, as a script sees it. What it does not have is
// empty.
type visit struct {
	OK       bool    `js:"ok"`
	Outcome  string  `js:"outcome"`
	Why      string  `js:"why"`
	Status   int     `js:"status"`
	Requests int     `js:"requests"`
	Duration float64 `js:"duration"` // of the request that counts, ms
	Text     string  `js:"text"`
	Coupon   string  `js:"coupon"`
	Session  string  `js:"session"`
	Order    string  `js:"order"`
	Amount   int64   `js:"amount"`
	Currency string  `js:"currency"`
}

// shopper is new Shopper(options). What is wrong with the options aborts the
// test, as with run.
func (i *instance) shopper(call sobek.ConstructorCall) *sobek.Object {
	s, err := i.arrive(call.Argument(0))
	if err != nil {
		i.vu.Runtime().Interrupt(&errext.InterruptError{Reason: errext.AbortTest + ": flashcrowd: " + err.Error()})
		return nil
	}
	return i.vu.Runtime().ToValue(s).ToObject(i.vu.Runtime())
}

// arrive lets a shopper arrive in this VU.
func (i *instance) arrive(value sobek.Value) (*scripted, error) {
	state := i.vu.State()
	if state == nil {
		return nil, errors.New("new Shopper() belongs into the default function, not into the init context")
	}
	o, err := i.options(shopperName, value)
	if err != nil {
		return nil, err
	}
	at, err := i.stands.take(o)
	if err != nil {
		return nil, err
	}
	if !o.Numbered {
		o.Number = int64(state.GetScenarioGlobalVUIter() % at.config.Plan.Shoppers) // who comes again has been here before
	}
	drawn, err := at.config.Plan.Shopper(scenarios.Nth(uint64(o.Number))).As(o.Persona, o.Journey)
	if err != nil {
		return nil, err
	}
	engine := i.engines[at]
	if engine == nil {
		config := at.config
		config.Emit = i.samples()
		if i.engines == nil {
			i.engines = make(map[*stand]*crowd.Engine)
		}
		engine = crowd.New(config)
		i.engines[at] = engine
	}
	if i.guest != nil { // an iteration before ended without a word
		i.guest.Leave()
	}
	i.guest = engine.Host(i.vu.Context(), drawn, o.Raw)
	return &scripted{
		i: i, guest: i.guest, Number: o.Number, ID: drawn.ID.String(), User: drawn.UserID(), Persona: drawn.Persona.Name,
		Journey: drawn.Journey, Stage: drawn.Stage, Drops: drawn.Drops(),
	}, nil
}

// Chat says a line, or the one that the shopper drew.
func (s *scripted) Chat(line sobek.Value) (*visit, error) {
	text := ""
	if !common.IsNullish(line) {
		text = line.String()
	}
	return s.ask(func(l *scenarios.Led) error { return l.Chat(text) })
}

// Claim claims a coupon.
func (s *scripted) Claim() (*visit, error) { return s.ask((*scenarios.Led).Claim) }

// Checkout opens a checkout, puts the coupon into it and pays.
func (s *scripted) Checkout() (*visit, error) { return s.ask((*scenarios.Led).Checkout) }

// Create opens a checkout.
func (s *scripted) Create() (*visit, error) { return s.do(scenarios.Create) }

// Update puts the coupon into the checkout.
func (s *scripted) Update() (*visit, error) { return s.do(scenarios.Update) }

// Complete pays.
func (s *scripted) Complete() (*visit, error) { return s.do(scenarios.Complete) }

// Think waits as long as the shopper thinks before what comes next in its
// journey, and returns how long that is, in seconds.
func (s *scripted) Think() float64 {
	pause, _ := s.guest.Think()
	return pause.Seconds()
}

// Leave ends the visit.
func (s *scripted) Leave() { s.guest.Leave() }

func (s *scripted) do(kind scenarios.StepKind) (*visit, error) {
	return s.ask(func(l *scenarios.Led) error { return l.Do(kind) })
}

// ask has the guest do something.
func (s *scripted) ask(ask func(*scenarios.Led) error) (*visit, error) {
	v, err := s.guest.Ask(ask)
	if err != nil {
		return nil, fmt.Errorf("flashcrowd: %w", err)
	}
	return &visit{
		OK: v.Outcome == results.OK, Outcome: v.Outcome.String(), Why: v.Why, Status: v.Status, Requests: v.Requests,
		Duration: float64(v.End.Sub(v.Start)) / float64(time.Millisecond), Text: v.Said,
		Coupon: v.Coupon, Session: v.Session, Order: v.Order, Amount: v.Amount, Currency: v.Currency,
	}, nil
}
