package live_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/results/live"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

func serving(t *testing.T) *httptest.Server {
	t.Helper()
	w := newWorker(results.About{
		ID: "run-1", Campaign: "spring", Target: "http://127.0.0.1:1", Planned: 100, Duration: time.Minute,
		Stages: []results.Stage{{Name: "noon", To: time.Minute, Shoppers: 100}},
	})
	w.m.Bar([]results.Barred{{Reason: "stranger at the API", Count: 2}})
	w.m.Worker("w1", results.WorkerNote{Name: "worker-1", Slots: 4096})
	w.second(t, 0, 10, 2, time.Millisecond, 0.3)
	server := httptest.NewServer(live.Handler(w.m.Run, verdict.DefaultValidity))
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url, host string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b), answer.Header
}

func TestServedRun(t *testing.T) {
	s := serving(t)
	code, body, _ := get(t, s.URL+"/v1/run", "")
	var got struct {
		ID, Campaign, Line string
		Shoppers           struct {
			Planned  uint64 `json:"planned"`
			InFlight uint64 `json:"in_flight"`
		} `json:"shoppers"`
		Ratios  map[string]float64 `json:"ratios"`
		Workers []struct{ Name string }
		Barred  []results.Barred
		Elapsed time.Duration `json:"elapsed_ns"`
	}
	if err := json.Unmarshal([]byte(body), &got); code != http.StatusOK || err != nil {
		t.Fatalf("%d %s, %v", code, body, err)
	}
	if got.ID != "run-1" || got.Shoppers.Planned != 100 || got.Shoppers.InFlight == 0 || len(got.Workers) != 1 || got.Workers[0].Name != "worker-1" ||
		len(got.Barred) != 1 || got.Elapsed <= 0 || !strings.Contains(got.Line, "in flight") || got.Ratios["request_success"] <= 0 {
		t.Errorf("%s", body)
	}
}

func TestServedMetrics(t *testing.T) {
	s := serving(t)
	code, body, _ := get(t, s.URL+"/metrics", "")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	for _, want := range []string{
		`# TYPE flashcrowd_shoppers_launched_total counter`,
		`flashcrowd_shoppers_launched_total{campaign="spring",run="run-1",stage="noon"} 10`,
		`# TYPE flashcrowd_schedule_lag_seconds summary`,
		`flashcrowd_schedule_lag_seconds{campaign="spring",run="run-1",stage="noon",quantile="0.99"} 0.001`,
		`flashcrowd_request_success_of_total{campaign="spring",run="run-1",stage="noon",step="complete"} 9`,
		`flashcrowd_request_success_good_total{campaign="spring",run="run-1",stage="noon",step="complete"} 7`,
		`flashcrowd_worker_cpu_ratio{campaign="spring",id="w1",run="run-1",worker="worker-1"} 0.3`,
		`flashcrowd_barred_total{campaign="spring",reason="stranger at the API",run="run-1"} 2`,
		`flashcrowd_shoppers_planned{campaign="spring",run="run-1"} 100`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

// The page loads nothing from elsewhere, nobody changes anything through it, and
// a name that is not this machine's own gets nothing.
func TestServedPage(t *testing.T) {
	s := serving(t)
	code, body, header := get(t, s.URL+"/", "localhost:1")
	if code != http.StatusOK || !strings.Contains(body, "<title>flashcrowd</title>") || strings.Contains(body, "https://") || strings.Contains(body, "innerHTML") {
		t.Errorf("%d %s", code, body)
	}
	if policy := header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("policy: %q", policy)
	}
	for host, want := range map[string]int{"127.0.0.1:9": 200, "[::1]:9": 200, "evil.example": 403, "evil.example:80": 403, "localhost.evil.example": 403} {
		if code, _, _ := get(t, s.URL+"/v1/run", host); code != want {
			t.Errorf("asked as %s: %d, want %d", host, code, want)
		}
	}
	if code, _, _ := get(t, s.URL+"/v1/stop", ""); code != http.StatusNotFound {
		t.Errorf("an unknown path: %d", code)
	}
	answer, err := http.Post(s.URL+"/v1/run", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %d", answer.StatusCode)
	}
}
