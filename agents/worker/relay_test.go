package worker

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/agents"
	"github.com/flashcrowd/flashcrowd/extensions/link"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

const (
	giveUp = 30 * time.Second
	grace  = 5 * time.Second
	begin  = 1000 * time.Second
)

// at is a moment of a test, in milliseconds after its beginning.
func at(ms int) time.Duration { return begin + time.Duration(ms)*time.Millisecond }

func cut(ms int, seq uint64) Event {
	return Snapped{at(ms), link.Snapshot{Seq: seq, Bytes: []byte{byte(seq)}}}
}

func last(ms int, seq uint64) Event {
	return Snapped{at(ms), link.Snapshot{Seq: seq, Bytes: []byte{byte(seq)}, Final: true}}
}

// reply is an answer that took 10 ms.
func reply(ms int, l agents.Lease) Event {
	return Leased{Sent: at(ms - 10), Received: at(ms), Lease: l}
}

func granted(stored uint64) agents.Lease {
	return agents.Lease{Version: 1, Length: 5 * time.Second, Stored: stored}
}

// words spells actions shortly.
func words(actions []Action) string {
	var w []string
	for _, a := range actions {
		switch a := a.(type) {
		case Put:
			s := fmt.Sprintf("put %d", a.Exchange.Seq)
			if a.Exchange.Fate != "" {
				s += " " + a.Exchange.Fate
			}
			w = append(w, s)
		case Grant:
			s := fmt.Sprintf("grant %d for %v", a.Lease.Answers, a.Lease.Length)
			if a.Lease.Stop > scenarios.Go {
				s += " " + a.Lease.Stop.String()
			}
			w = append(w, s)
		case Kill:
			w = append(w, "kill: "+a.Why)
		case Quit:
			w = append(w, fmt.Sprintf("quit: %v", a.Err))
		}
	}
	return strings.Join(w, ", ")
}

func TestRelay(t *testing.T) {
	down := errors.New("connection refused")
	killed := errors.New("child ended: signal: killed")
	type turn struct {
		event Event
		want  string
	}
	tests := []struct {
		name  string
		turns []turn
	}{
		{"one after another", []turn{
			{cut(0, 1), "put 1"},
			{reply(20, granted(1)), "grant 1 for 5s"},
			{Ticked{at(50)}, ""},
			{cut(1000, 2), "put 2"},
			{reply(1020, granted(2)), "grant 2 for 5s"},
		}},
		{"one at a time, in order, kept until acknowledged", []turn{
			{cut(0, 1), "put 1"},
			{cut(1000, 2), ""},
			{cut(2000, 3), ""},
			{Failed{at(2000), down}, ""},
			{Ticked{at(2040)}, ""},
			{Ticked{at(2050)}, "put 1"},
			{Failed{at(2050), down}, ""},
			{cut(2100, 4), ""}, // backed off
			{Ticked{at(2149)}, ""},
			{Ticked{at(2150)}, "put 1"},
			{reply(2200, granted(1)), "grant 1 for 5s, put 2"},
			{reply(2210, granted(2)), "grant 2 for 5s, put 3"},
			{reply(2220, granted(3)), "grant 3 for 5s, put 4"},
			{reply(2230, granted(4)), "grant 4 for 5s"},
		}},
		{"the end", []turn{
			{cut(0, 1), "put 1"},
			{reply(20, agents.Lease{Stored: 1, Stop: scenarios.Done}), "grant 1 for 0s done"},
			{last(40, 2), "put 2"},
			{reply(60, agents.Lease{Stored: 2, Stop: scenarios.Done}), "quit: <nil>"},
		}},
		{"the child exits before its last snapshot is acknowledged", []turn{
			{last(0, 1), "put 1"},
			{Exited{at(10), nil}, ""},
			{Failed{at(20), down}, ""},
			{Ticked{at(100)}, "put 1"},
			{reply(120, granted(1)), "quit: <nil>"},
		}},
		{"a dead child's fate is the last exchange", []turn{
			{cut(0, 1), "put 1"},
			{cut(900, 2), ""},
			{Exited{at(1000), killed}, ""},
			{reply(1020, granted(1)), "put 2"},
			{reply(1040, granted(2)), "put 3 child ended: signal: killed"},
			{reply(1060, granted(3)), "quit: child ended: signal: killed"},
		}},
		{"a child that exits well and early", []turn{
			{Exited{at(0), nil}, "put 1 the child ended before its last snapshot"},
			{reply(20, granted(1)), "quit: the child ended before its last snapshot"},
		}},
		{"a refused worker quits", []turn{
			{cut(0, 1), "put 1"},
			{Refused{at(10), refusal{422, "changed"}}, "quit: coordinator answers 422 Unprocessable Entity: changed"},
			{cut(10, 2), ""},
		}},
		{"an ended worker delivers what nobody has, and quits", []turn{
			{cut(0, 1), "put 1"},
			{cut(1000, 2), ""},
			{Refused{at(1010), refusal{409, "ended"}}, "grant 0 for 0s done, put 2"},
			{Failed{at(1020), down}, ""},
			{Ticked{at(1100)}, "put 2"},
			{Refused{at(1110), refusal{409, "ended"}}, ""},
			{last(1200, 3), "put 3"},
			{Refused{at(1210), refusal{409, "ended"}}, "quit: coordinator answers 409 Conflict: ended"},
			{cut(1220, 4), ""},
		}},
		{"an ended worker whose child dies or hangs", []turn{
			{cut(0, 1), "put 1"},
			{Refused{at(10), refusal{409, "ended"}}, "grant 0 for 0s done"},
			{Ticked{at(5011)}, "kill: did not end within 5s"},
			{Exited{at(5020), killed}, "quit: coordinator answers 409 Conflict: ended"},
		}},
		{"an ended worker can't reach anybody any more", []turn{
			{cut(0, 1), "put 1"},
			{Refused{at(10), refusal{409, "ended"}}, "grant 0 for 0s done"},
			{last(20, 2), "put 2"},
			{Failed{at(40), down}, ""},
			{Ticked{at(10_011)}, "quit: coordinator answers 409 Conflict: ended"},
		}},
		{"the coordinator is gone", []turn{
			{cut(0, 1), "put 1"},
			{Failed{at(29_000), down}, ""},
			{cut(29_000, 2), ""},
			{Ticked{at(29_100)}, "put 1"},
			{Failed{at(30_001), down}, "quit: coordinator lost: no answer for 30s: connection refused"},
		}},
		{"the coordinator has less than was acknowledged", []turn{
			{cut(0, 1), "put 1"},
			{reply(10, granted(1)), "grant 1 for 5s"},
			{cut(1000, 2), "put 2"},
			{reply(1010, agents.Lease{Stored: 0}), "quit: the coordinator wants snapshot 1, the oldest kept is 2"},
		}},
		{"an answer that did not take the snapshot grants nothing", []turn{
			{cut(0, 1), "put 1"},
			{reply(10, granted(0)), "grant 1 for 0s, put 1"},
		}},
		{"a silent child is killed", []turn{
			{Ticked{at(30_000)}, ""},
			{Ticked{at(30_001)}, "kill: silent for 30s"},
			{Exited{at(30_010), killed}, "put 1 child ended: signal: killed"},
		}},
		{"a polite leave", []turn{
			{cut(0, 1), "put 1"},
			{reply(20, granted(1)), "grant 1 for 5s"},
			{Left{at(100)}, "grant 0 for 0s done"},
			{Left{at(110)}, ""},
			{cut(1000, 2), "put 2"},
			{reply(1020, granted(2)), "grant 2 for 5s done"},
			{last(1100, 3), "put 3"},
			{reply(1120, granted(3)), "quit: <nil>"},
		}},
		{"a child that does not leave is killed", []turn{
			{Left{at(0)}, "grant 0 for 0s done"},
			{Ticked{at(5000)}, ""},
			{Ticked{at(5001)}, "kill: did not end within 5s"},
		}},
		{"leaving without a coordinator", []turn{
			{Left{at(0)}, "grant 0 for 0s done"},
			{last(100, 1), "put 1"},
			{Failed{at(110), down}, ""},
			{Ticked{at(10_001)}, "quit: coordinator lost: it did not take the last snapshot in time"},
		}},
		{"a snapshot out of order", []turn{
			{cut(0, 2), "quit: child broke the protocol: snapshot 2 after 0"},
		}},
		{"a snapshot after the final one", []turn{
			{last(0, 1), "put 1"},
			{cut(1, 2), "quit: child broke the protocol: snapshot 2 after the final one"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewRelay("worker-1", 0, giveUp, grace, begin, &Clocks{})
			for i, turn := range tt.turns {
				if got := words(r.Step(turn.event)); got != turn.want {
					t.Fatalf("turn %d, %T: %q, want %q", i, turn.event, got, turn.want)
				}
			}
		})
	}
}

func TestSpansArePassedOnce(t *testing.T) {
	r := NewRelay("worker-1", 0, giveUp, grace, begin, &Clocks{})
	spans := []scenarios.Span{{Slot: 1, To: time.Hour}}
	exchange := func(seq uint64, l agents.Lease) (uint64, link.Lease) {
		sent := r.Step(cut(int(seq)*1000, seq))[0].(Put)
		l.Length, l.Stored = 5*time.Second, seq
		return sent.Exchange.Have, r.Step(reply(int(seq)*1000+20, l))[0].(Grant).Lease
	}
	if have, l := exchange(1, agents.Lease{}); have != 0 || l.Version != 0 || l.Started {
		t.Errorf("before the start: have %d, %+v", have, l)
	}
	if have, l := exchange(2, agents.Lease{Version: 1, Spans: spans}); have != 0 || l.Version != 1 || len(l.Spans) != 1 {
		t.Errorf("new spans: have %d, %+v", have, l)
	}
	if have, l := exchange(3, agents.Lease{Version: 1}); have != 1 || l.Version != 1 || l.Spans != nil {
		t.Errorf("the same: have %d, %+v", have, l)
	}
}

// What a worker's clocks did is told once, with the sequence that was cut next;
// what was not stored, the next worker of the process tells.
func TestUpsetsAreTold(t *testing.T) {
	clocks := &Clocks{}
	look := func(ms, wall int) {
		clocks.See(Reading{Boot: at(ms), Mono: at(ms), Wall: time.Duration(wall) * time.Millisecond})
	}
	told := func(r *Relay, e Event) (upsets []results.Upset) {
		for _, a := range r.Step(e) {
			if p, ok := a.(Put); ok {
				upsets = append(upsets, p.Exchange.Upsets...)
			}
		}
		return upsets
	}
	started := granted(1)
	started.Started, started.Now = true, 500*time.Millisecond

	r := NewRelay("worker-1", 0, giveUp, grace, begin, clocks)
	look(0, 0)
	look(40, 3040) // set forward by 3 s
	if u := told(r, cut(50, 1)); u != nil {
		t.Errorf("told before plan time is known: %v", u)
	}
	told(r, reply(60, started))
	step := results.Upset{Kind: results.Stepped, At: -15 * time.Millisecond, Size: 3 * time.Second}
	step.At = at(40) - r.clock.zero
	if u := told(r, cut(1000, 2)); len(u) != 1 || u[0] != step {
		t.Errorf("told %v, want %v", u, step)
	}
	told(r, Failed{At: at(1010), Err: errLost})
	look(990, 3990)
	look(20990, 23990) // stood still
	if u := told(r, Ticked{at(21000)}); len(u) != 1 || u[0] != step {
		t.Errorf("the same sequence tells %v, want %v", u, step)
	}
	started.Stored, started.Now = 2, 21*time.Second
	told(r, reply(21100, started))
	if u := told(r, cut(21110, 3)); len(u) != 1 || u[0].Kind != results.Frozen || u[0].Size != 20*time.Second {
		t.Errorf("told %v, want 20 s of standing still", u)
	}
	told(r, Refused{at(21120), refusal{409, "ended"}})

	r = NewRelay("worker-1", 0, giveUp, grace, at(21200), clocks)
	told(r, cut(21300, 1))
	started.Stored, started.Now = 1, 22*time.Second
	told(r, reply(21400, started))
	if u := told(r, cut(21500, 2)); len(u) != 1 || u[0].Kind != results.Frozen {
		t.Errorf("the next worker tells %v", u)
	}
}

func TestBackoff(t *testing.T) {
	want := []time.Duration{50, 100, 200, 400, 800, 1000, 1000}
	for i, w := range want {
		if got := backoff(i + 1); got != w*time.Millisecond {
			t.Errorf("try %d: %v, want %d ms", i+1, got, w)
		}
	}
	if got := backoff(1_000_000); got != time.Second {
		t.Errorf("try 1,000,000: %v", got)
	}
}

func TestTail(t *testing.T) {
	var tl tail
	for i := range 10_000 {
		fmt.Fprintf(&tl, "line %d\n", i)
	}
	if got := tl.words(); got != "line 9995 / line 9996 / line 9997 / line 9998 / line 9999" {
		t.Errorf("%q", got)
	}
	if len(tl.end) > tailSize {
		t.Errorf("%d bytes are kept", len(tl.end))
	}
	fmt.Fprint(&tl, "panic: oh no\n\ngoroutine 1 [running]:\nmain.main()\n")
	if got := tl.words(); got != "panic: oh no" {
		t.Errorf("%q", got)
	}
	if got := (&tail{}).words(); got != "" {
		t.Errorf("nothing said: %q", got)
	}
}
