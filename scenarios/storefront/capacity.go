package storefront

import (
	"context"
	"math"
	"sync"
	"time"
)

// A Model is what a language model costs on one engine, a GPU or several that
// serve it together. It has three numbers:
//
//	Step      from one token of a stream to the next, while it is alone
//	Crowding  added to it by n streams: n² times this
//	Prefill   for one token of input, during which no stream gets on
//
// so that n streams of an engine that reads i tokens a second get a token each
// every (Step + n²·Crowding) / (1 - i·Prefill). More streams bring more tokens
// in all up to n = √(Step/Crowding), and fewer beyond.
//
// The default is fitted to what NVIDIA publishes for Llama 3.1 8B Instruct
// under NIM 1.8.0 (docs.nvidia.com/nim/benchmarking/llm/1.0.0/performance, the
// first table of that model); README.md has the points and how far off each of
// them is. Beyond 250 streams, the last of them, the curve is our continuation.
type Model struct {
	Step, Crowding, Prefill time.Duration
}

// fitted is the Model of the published curve.
var fitted = Model{Step: 4400 * time.Microsecond, Crowding: 92 * time.Nanosecond, Prefill: 28 * time.Microsecond}

// An engine is a fleet of engines that share the work evenly, as one: what each
// stream gets, and when a prompt is read. It waits for nobody; whoever asks it
// waits until the moment that it names.
type engine struct {
	model Model
	many  float64 // engines

	mu      sync.Mutex
	streams int
	free    time.Time     // when the last prompt has been read
	reading time.Duration // that prompts took or will take, ever
}

func newEngine(o Options) *engine { return &engine{model: o.Model, many: o.Engines} }

// answer reads a's prompt and has r flow to out, token by token.
func (e *engine) answer(ctx context.Context, a *ask, r reply, out *stream) error {
	p := e.enter(time.Now(), a.prompt)
	defer e.leave()
	if err := until(ctx, p.due); err != nil {
		return err
	}
	if err := out.Begin(); err != nil {
		return err
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for piece := range r.tokens() {
		if early := time.Until(p.next()); early > 0 {
			timer.Reset(early)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := piece(out); err != nil {
			return err
		}
	}
	return out.End()
}

// enter counts one stream more, with a prompt of so many tokens. Who enters
// leaves again.
func (e *engine) enter(now time.Time, prompt int) pace {
	alone := time.Duration(prompt) * e.model.Prefill
	share := time.Duration(float64(alone) / e.many)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.streams++
	if e.free.Before(now) {
		e.free = now
	}
	e.free = e.free.Add(share)
	e.reading += share
	p := pace{engine: e, due: e.free, read: e.reading}
	if read := now.Add(alone); read.After(p.due) {
		p.due = read
	}
	return p
}

func (e *engine) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.streams--
}

// A pace is when the tokens of a stream are due.
type pace struct {
	engine *engine
	due    time.Time     // the last token; at first, when the prompt is read
	read   time.Duration // for how long prompts had been read by then
}

// next returns when the next token is due, for who asks when the last one was.
func (p *pace) next() time.Time {
	e := p.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	read := e.reading - max(0, e.free.Sub(p.due))
	n := float64(e.streams) / e.many
	p.due = p.due.Add(e.model.Step + time.Duration(math.Round(n*n*float64(e.model.Crowding))) + read - p.read)
	p.read = read
	return p.due
}
