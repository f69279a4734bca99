package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// A run shows itself on loopback while it lasts, and to nobody beyond.
func TestLiveView(t *testing.T) {
	t.Parallel()
	p := start(t, "run", "quick.yaml", "--live", "--runs", "runs")
	at := said(p, `live: (http://127\.0\.0\.1:[0-9]+)/`)
	var run struct {
		Shoppers struct{ Planned, InFlight uint64 }
		Workers  []struct {
			Launched uint64 `json:"launched_count"`
		}
	}
	for deadline := time.Now().Add(time.Minute); len(run.Workers) == 0 || run.Workers[0].Launched == 0; time.Sleep(20 * time.Millisecond) { // polls another process
		if time.Now().After(deadline) {
			t.Fatalf("nobody is seen to arrive: %+v", run)
		}
		answer, err := http.Get(at + "/v1/run")
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(answer.Body).Decode(&run)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	answer, err := http.Get(at + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if b, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(b), "\nflashcrowd_shoppers_launched_total{") {
		t.Errorf("%v in %s", err, b)
	}
	p.want(0)
	if _, err := http.Get(at + "/"); err == nil {
		t.Error("it is shown when the run is over")
	}
	beyond := start(t, "run", "quick.yaml", "--live=0.0.0.0:0", "--runs", "runs")
	if beyond.want(2); !strings.Contains(beyond.err.String(), "--live 0.0.0.0:0 is beyond loopback") {
		t.Errorf("%s", beyond.err.String())
	}
}

// TestLiveAddressTaken: it is refused before anything is kept.
func TestLiveAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := start(t, "run", "quick.yaml", "--live="+l.Addr().String(), "--runs", "runs")
	if code := p.code(); code != 2 || !strings.Contains(p.err.String(), "--live: listen") {
		t.Errorf("exit code %d: %s", code, &p.err)
	}
	if kept, _ := os.ReadDir(p.dir); len(kept) > 0 {
		t.Errorf("it kept %v", kept)
	}
}
