package custom

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// A rule is one of a campaign's, made ready.
type rule struct {
	scenarios.Rule
	pattern *regexp.Regexp
}

func newRule(r scenarios.Rule) (rule, error) {
	pattern, err := regexp.Compile(r.Matches)
	return rule{r, pattern}, err
}

// match says whether the rule matches an answer, and what it saw. Where the
// body is no JSON, what a rule says of a path does not match, turned round or
// not: a page of HTML has no errors in it either.
func (r *rule) match(status int, body []byte, isJSON bool) (saw string, ok bool) {
	if len(r.Status) > 0 && !slices.ContainsFunc(r.Status, func(s scenarios.Statuses) bool { return s.From <= status && status <= s.To }) {
		return "", false
	}
	if r.Path == "" {
		return fmt.Sprintf("HTTP %d", status), true
	}
	if !isJSON {
		return "", false
	}
	found := gjson.GetBytes(body, r.Path)
	there := found.Exists() && found.Type != gjson.Null
	switch {
	case r.Exists != nil:
		ok = there == *r.Exists
	case r.Is != nil:
		ok = there && found.String() == *r.Is
	default:
		ok = there && r.pattern.MatchString(found.String())
	}
	return r.Path + ": " + wire.Clip(found.String()), ok != r.Not
}

// first returns what the first matching rule of a list saw.
func first(rules []rule, status int, body []byte, isJSON bool) (saw string, ok bool) {
	for i := range rules {
		if saw, ok := rules[i].match(status, body, isJSON); ok {
			return saw, true
		}
	}
	return "", false
}

// classify says what an answer means.
func (o *operation) classify(status int, body []byte) scenarios.Result {
	isJSON := valid(body)
	if r, decided := o.declined(status, body, isJSON); decided {
		return r
	}
	if _, ok := first(o.pending, status, body, isJSON); ok {
		return scenarios.Result{Outcome: results.OK, Pending: true}
	}
	if _, ok := first(o.ok, status, body, isJSON); ok {
		return scenarios.Result{Outcome: results.OK}
	}
	r := scenarios.Result{Why: fmt.Sprintf("HTTP %d, and no rule matches", status)}
	switch {
	case status == 429:
		r.Outcome = results.RateLimited
	case status == 408, status >= 500:
		r.Outcome = results.Unavailable
	case !isJSON:
		r.Outcome, r.Why = results.Malformed, fmt.Sprintf("HTTP %d, and no JSON", status)
	}
	return r
}

// declined applies the rules that say no.
func (o *operation) declined(status int, body []byte, isJSON bool) (r scenarios.Result, decided bool) {
	if saw, ok := first(o.expired, status, body, isJSON); ok {
		return scenarios.Result{Outcome: results.Rejected, Expired: true, Why: "the login is over: " + saw}, true
	}
	if saw, ok := first(o.rejected, status, body, isJSON); ok {
		return scenarios.Result{Outcome: results.Rejected, Why: saw}, true
	}
	if saw, ok := first(o.retry, status, body, isJSON); ok {
		r := scenarios.Result{Outcome: results.Unavailable, Why: saw}
		if status == 429 {
			r.Outcome = results.RateLimited
		}
		return r, true
	}
	return r, false
}

func valid(body []byte) bool { return utf8.Valid(body) && gjson.ValidBytes(body) }

// longest is the most bytes of a value that is taken; it goes into the next
// request. mostTaken bounds how many a shopper carries.
const (
	longest   = 4 << 10
	mostTaken = 64
)

// taken takes what the operation takes from an answer that is ok. What the
// step is for (a coupon, an order) must be there, unless the answer is pending:
// then nothing is promised yet. A poll may leave out what the shopper has.
func (o *operation) taken(r *scenarios.Result, s *crowd.Shopper, kind scenarios.StepKind, resp *wire.Response, body []byte) {
	values := make(map[string]string, len(o.take))
	for name, path := range o.take {
		text := ""
		if field, ok := strings.CutPrefix(path, "header:"); ok {
			text = resp.Header(field)
		} else if found := gjson.GetBytes(body, path); !found.IsObject() && !found.IsArray() {
			text = strings.Clone(found.String())
		}
		if len(text) > longest {
			*r = scenarios.Result{Outcome: results.Malformed, Why: fmt.Sprintf("%s has more than %d bytes", name, longest)}
			return
		}
		if text == "" && o.polls {
			text = s.Taken[name]
		}
		values[name] = text
	}
	needed := map[scenarios.StepKind]string{scenarios.Claim: "coupon", scenarios.Complete: "order"}[kind]
	if r.Pending {
		if !o.polls {
			delete(s.Taken, needed) // an earlier one must not pass for this one's
		}
		keep(s, values)
		return
	}
	if needed != "" && values[needed] == "" {
		*r = scenarios.Result{Outcome: results.Malformed, Why: "ok, and nothing at " + o.take[needed] + " for the " + needed}
		return
	}
	r.Coupon, r.Session, r.Order, r.Redeemed = values["coupon"], values["session"], values["order"], values["redeemed"]
	if path, ok := o.take["amount"]; ok {
		n := gjson.GetBytes(body, path)
		if n.Type == gjson.Number && n.Num == math.Trunc(n.Num) && math.Abs(n.Num) < 1<<53 && len(values["currency"]) == 3 {
			r.Amount, r.Currency = int64(n.Num), values["currency"]
		} else {
			r.Why = "ok, without a whole amount in a currency" // it was done all the same
		}
	}
	keep(s, values)
}

// keep gives a shopper what was taken. An answer without a token does not take
// the last one away.
func keep(s *crowd.Shopper, values map[string]string) {
	for name, text := range values {
		if _, known := s.Taken[name]; text == "" || !known && len(s.Taken) >= mostTaken {
			continue
		}
		if s.Taken == nil {
			s.Taken = make(map[string]string, len(values))
		}
		s.Taken[name] = text
	}
}
