package main

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"github.com/flashcrowd/flashcrowd/agents/coordinator"
	"github.com/flashcrowd/flashcrowd/results/live"
	"github.com/flashcrowd/flashcrowd/results/verdict"
)

// liveAnywhere is where --live listens that says no more.
const liveAnywhere = "127.0.0.1:0"

// addLive adds the flag of the live view.
func addLive(flags *pflag.FlagSet, at *string) {
	flags.StringVar(at, "live", "", "serve a live page, its JSON and Prometheus metrics, read-only, on --live=HOST:PORT (default with --live alone: loopback, any port)")
	flags.Lookup("live").NoOptDefVal = liveAnywhere
}

// checkLive refuses to show a run beyond loopback to everybody, unless it is a
// fleet's, whose user has said which network that is; and an address that can't
// be had, before a run is begun that nobody could see.
func checkLive(at string, fleet bool) error {
	if at == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(at); err != nil {
		return usage(fmt.Errorf("--live %s: want host:port", at))
	}
	if !fleet && !loopback(at) {
		return usage(fmt.Errorf("--live %s is beyond loopback, where everybody could read it\nhint: only a coordinator with --key shows its run to a network", at))
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return usage(fmt.Errorf("--live: %w", err))
	}
	return l.Close()
}

// serveLive serves the live view until the function it returns is called.
func serveLive(w world, at string, c *coordinator.Coordinator, limits verdict.Validity) (end func(), err error) {
	if at == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return nil, usage(fmt.Errorf("--live: %w", err))
	}
	server := &http.Server{
		Handler:           live.Handler(c.View, limits),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // ends with Close
	}()
	fmt.Fprintf(w.Talk, "live: http://%s/\n", l.Addr())
	return func() { server.Close(); <-served }, nil
}
