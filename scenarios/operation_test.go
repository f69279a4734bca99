package scenarios

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

// describedPlan is the plan of the campaign that drives a GraphQL shop, with a
// text in its file replaced.
func describedPlan(t *testing.T, old, new string) *Plan {
	t.Helper()
	src, err := os.ReadFile("../cmd/flashcrowd/testdata/graphql-shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(src, []byte(old)) {
		t.Fatalf("the campaign has no %q", old)
	}
	c, err := Parse("graphql-shop.yaml", bytes.Replace(src, []byte(old), []byte(new), 1))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(results.Factors{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Everything that is described counts in the fingerprint, and survives the way
// to a worker.
func TestDescribedPlan(t *testing.T) {
	plan := describedPlan(t, "", "")
	decoded, err := DecodePlan(plan.Encode())
	if err != nil || decoded.Fingerprint() != plan.Fingerprint() {
		t.Fatalf("decoded: %v", err)
	}
	for _, change := range [][2]string{
		{"path: /assistant", "path: /other"},
		{`"user": "{{shopper.user}}", `, ""},
		{"is: end", "is: over"},
		{"thread: thread", "thread: id"},
		{"is: SOLD_OUT", "is: GONE"},
		{"INTERNAL_SERVER_ERROR}]", "INTERNAL_SERVER_ERROR, not: true}]"},
	} {
		if describedPlan(t, change[0], change[1]).Fingerprint() == plan.Fingerprint() {
			t.Errorf("%q to %q changes nothing", change[0], change[1])
		}
	}
}

// What a backend does not have is left out of the journey, and the code then
// goes with what there is.
func TestDescribedJourney(t *testing.T) {
	plan := describedPlan(t, "", "")
	delete(plan.Target.Checkout.Operations, "create")
	delete(plan.Target.Checkout.Operations, "update")
	walk := plan.Shopper(ID{}).Walk()
	var steps []string
	step, ok := walk.Next(Result{})
	for ; ok; step, ok = walk.Next(Result{Outcome: results.OK, Coupon: "code"}) {
		steps = append(steps, step.Kind.String())
		if step.Kind == Complete && (step.Coupon != "code" || step.Item.ID == "") {
			t.Errorf("complete buys %+v with %q", step.Item, step.Coupon)
		}
	}
	if got := strings.Join(steps, " "); got != "turn turn turn claim complete" {
		t.Errorf("steps: %s", got)
	}
}

func TestDescribedSecrets(t *testing.T) {
	plan := describedPlan(t, "Bearer {{taken.token}}", "${KEY} {{taken.token}}")
	if got := strings.Join(plan.Secrets(), " "); got != "KEY SHOP" {
		t.Errorf("secrets: %s", got)
	}
	target, err := plan.Target.Resolve(func(name string) (string, bool) { return "value", true })
	if err != nil {
		t.Fatal(err)
	}
	if got := target.Checkout.Operations["update"].Request.Headers["Authorization"]; got != "value {{taken.token}}" {
		t.Errorf("resolved: %s", got)
	}
	if got := plan.Target.Checkout.Operations["update"].Request.Headers["Authorization"]; got != "${KEY} {{taken.token}}" {
		t.Errorf("the plan holds %s", got)
	}
}

// A socket's request is a handshake, and its answer says itself when it is whole.
func TestSocketFaults(t *testing.T) {
	const turn = "name: a\ncrowd: {shoppers: 1, stages: [{name: s, for: 1s, rate: 1}], journeys: {browse: 1}}\ntarget:\n  chat: {protocol: http, turn: "
	for _, test := range []struct{ turn, fault string }{
		{`{request: {path: /t}, answer: {events: websocket, text: t, done: end}}}`, ""},
		{`{request: {path: /t}, answer: {events: websocket, text: t}}}`, "turn.answer.done: is missing"},
		{`{request: {path: /t, method: POST}, answer: {events: websocket, text: t, done: end}}}`, "turn.request.method: must be that of a handshake"},
		{`{request: {path: /t}, answer: {events: websocket, text: t, done: end}, ok: [{status: 101}]}}`, "turn.ok: is not used by a socket"},
		{"{request: {path: /t}, answer: {events: websocket, text: t, done: end}}}\n  http: 2", "target.http: carries no WebSocket"},
	} {
		c, err := Parse("a.yaml", []byte(turn+test.turn+"\n"))
		switch {
		case test.fault == "" && (err != nil || c.Target.Chat.Operations["turn"].Request.Method != "GET"):
			t.Errorf("%s: %v", test.turn, err)
		case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
			t.Errorf("%s: %v, want %q", test.turn, err, test.fault)
		}
	}
}
