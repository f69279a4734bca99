package scenarios

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
)

// FuzzParse: any input gives a campaign that can be planned, or faults with
// places in the file.
func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(guarded))
	files, err := filepath.Glob("*/*.yaml")
	if err != nil || len(files) < 4 {
		f.Fatalf("seeds: %v, %v", files, err)
	}
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	cert, _ := authority(f)
	f.Add([]byte(connected("  http: 2\n  tls: {ca: " + strconv.Quote(cert) + ", cert: \"${C}\", key: \"${K}\"}\n  source: [127.0.1.0/28]\n  client_address: A\n  stress_header: B\n")))
	f.Add([]byte(strings.Replace(small, "limits: {arrivals: 5000/s}", limited, 1)))
	f.Add([]byte(ownCalls))
	f.Add([]byte(audited(inPostgres)))
	f.Add([]byte(audited(`{source: http, url: "http://s", headers: {A: "${B}"}, orders: {path: /o, rows: d, next: {by: cursor, path: n, parameter: c}}}`)))
	f.Add([]byte("a: [1,\nb: 2"))
	f.Add([]byte("? a\n: - b\n- - - c"))
	f.Add([]byte("\"\\x00\": |\n  x\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := Parse("f.yaml", src)
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 || len(faults) > maxFaults {
				t.Fatalf("error without faults: %v", err)
			}
			for _, fault := range faults {
				if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
					t.Fatalf("fault %+v", fault)
				}
			}
			return
		}
		p, err := c.Plan(results.Factors{})
		if err != nil {
			return // too large, or beyond its limits
		}
		data := p.Encode()
		q, err := DecodePlan(data)
		if err != nil {
			t.Fatalf("own plan refused: %v\n%s", err, data)
		}
		if q.Fingerprint() != p.Fingerprint() {
			t.Fatal("the fingerprint changes on the way")
		}
		use(t, q)
	})
}

// FuzzDecodePlan: any input gives an error or a plan that is what was decoded.
func FuzzDecodePlan(f *testing.F) {
	for _, name := range Embedded() {
		c, err := Load(name)
		if err != nil {
			f.Fatal(err)
		}
		p, err := c.Plan(results.Factors{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Encode())
	}
	f.Add(plan(f, small, results.Factors{}).Encode())
	f.Add(plan(f, uniform, results.Factors{Pace: 2}).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodePlan(data)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), data) {
			t.Fatal("not the plan that was encoded")
		}
		use(t, p)
	})
}

// use asks a plan for a little of everything.
func use(t *testing.T, p *Plan) {
	for _, id := range []ID{{0, 0}, {4095, 0}, {Slots - 1, 1<<32 - 1}} {
		s := p.Shopper(id)
		if s.At < 0 || s.At >= p.Duration() {
			t.Fatalf("shopper %v at %v of %v", id, s.At, p.Duration())
		}
		s.Hash()
		w := s.Walk()
		for step, ok := w.Next(Result{}); ok; step, ok = w.Next(Result{Outcome: results.OK}) {
			if step.Think < 0 || step.Answer <= 0 {
				t.Fatalf("step %+v", step)
			}
		}
		if r := p.RateAt(s.At); !(r >= 0) {
			t.Fatalf("rate %v at %v", r, s.At)
		}
	}
	p.Warnings()
	p.Secrets()
}
