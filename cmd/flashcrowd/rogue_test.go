package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A plan that asks a worker for more than its user allowed is refused by the
// worker, whoever sends it: another target, another variable of its environment.
// Both sides say which, and nothing is sent.
func TestRoguePlan(t *testing.T) {
	f := startFleet(t, "1") // for its key
	f.leader.cmd.Process.Kill()
	f.leader.code()
	campaign, err := os.ReadFile("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	curious := filepath.Join(t.TempDir(), "curious.yaml")
	text := strings.Replace(string(campaign), "target:\n", "target:\n  headers: {X-Stolen: \"${AWS_SECRET_ACCESS_KEY}\"}\n", 1)
	if err := os.WriteFile(curious, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not for you")
	elsewhere, err := filepath.Abs("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		lead       []string
	}{
		{"another target", "the plan's target is 192.0.2.66 at 192.0.2.66, which is not on this worker's allow-list", []string{elsewhere, "--target", "http://192.0.2.66", "--allow", "192.0.2.66"}},
		{"another variable", "the plan asks for ${AWS_SECRET_ACCESS_KEY}, which is not on this worker's --env list", []string{curious, "--target", f.shop}},
	} {
		lead := start(t, append([]string{"coordinator", "--workers", "1", "--wait", "20s", "--key", f.key, "--bind", "127.0.0.1:0", "--runs", "runs"}, tt.lead...)...)
		join := said(lead, `--join (\S+)`)
		w := start(t, "worker", "--join", join, "--key", f.key, "--name", "careful", "--env", "PATH")
		if code := w.code(); code == 0 || !strings.Contains(w.err.String(), tt.want) {
			t.Errorf("%s: the worker ends with %d and says\n%s", tt.name, code, w.err.String())
		}
		lead.until("a worker ended before the run began")
		if text := lead.err.String(); !strings.Contains(text, tt.want) {
			t.Errorf("%s: the coordinator says\n%s", tt.name, text)
		}
		lead.cmd.Process.Kill()
		lead.code()
		if all := w.err.String() + lead.err.String() + lead.out.String(); strings.Contains(all, "not for you") {
			t.Errorf("%s: somebody tells the secret", tt.name)
		}
	}
}
