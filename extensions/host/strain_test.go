package host

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestFeel(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		files []string
		want  Strain
	}{
		{"no such files", nil, Strain{}},
		{"version 2", []string{
			"proc/self/cgroup: 0::/a/b", "sys/fs/cgroup/a/b/cpu.stat: usage_usec 900\nnr_periods 10\nnr_throttled 3\nthrottled_usec 40000",
			"sys/fs/cgroup/a/b/memory.pressure: some avg10=0.00 avg60=0.00 avg300=0.00 total=7000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5000",
		}, Strain{40 * ms, 7 * ms}},
		{"around it is tighter", []string{
			"proc/self/cgroup: 0::/a/b", "sys/fs/cgroup/a/b/cpu.stat: throttled_usec 1000", "sys/fs/cgroup/a/cpu.stat: throttled_usec 2000",
			"sys/fs/cgroup/a/memory.pressure: some avg10=0.00 total=3000", "proc/pressure/memory: some avg10=0.00 total=2000",
		}, Strain{2 * ms, 3 * ms}},
		{"version 1, and the machine's own pressure", []string{
			"proc/self/cgroup: 3:cpu,cpuacct:/job\n2:memory:/job", "sys/fs/cgroup/cpu,cpuacct/job/cpu.stat: nr_periods 9\nnr_throttled 2\nthrottled_time 5000000",
			"proc/pressure/memory: some avg10=0.00 total=9000\nfull avg10=0.00 total=1",
		}, Strain{5 * ms, 9 * ms}},
		{"garbage", []string{
			"proc/self/cgroup: 0::/", "sys/fs/cgroup/cpu.stat: throttled_usec much", "sys/fs/cgroup/memory.pressure: some total=x", "proc/pressure/memory: full total=7",
		}, Strain{}},
		{"longer than time", []string{
			"proc/self/cgroup: 0::/\n1:cpu:/", "sys/fs/cgroup/cpu.stat: throttled_usec 18014398509481983", "proc/pressure/memory: some total=18446744073709551615",
		}, Strain{longest, longest}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Feel(files(c.files...)); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// A process that a real control group throttles feels it. Beside other tests it
// may not get a fifth of a processor for a while, and is not throttled then.
func TestFeelThrottled(t *testing.T) {
	const enough = 50 * time.Millisecond
	if os.Getenv("FLASHCROWD_TEST_FEEL") != "" {
		before, felt := Feel(os.DirFS("/")), time.Duration(0)
		for begin := time.Now(); felt < enough && time.Since(begin) < 15*time.Second; {
			felt = Feel(os.DirFS("/")).Throttled - before.Throttled
		}
		os.Stdout.WriteString(felt.String())
		os.Exit(0)
	}
	dir := limited(t)
	// The shell enters the group before it becomes the child.
	child := exec.Command("sh", "-c", `echo $$ > "$1/cgroup.procs" && exec "$2" -test.run=^TestFeelThrottled$`, "sh", dir, os.Args[0])
	child.Env = append(os.Environ(), "FLASHCROWD_TEST_FEEL=1")
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	throttled, err := time.ParseDuration(string(out))
	if err != nil {
		t.Fatal(err)
	}
	if throttled < enough {
		t.Errorf("a busy process with a fifth of a processor was throttled for %v in 15 s", throttled)
	}
}

// limited makes a control group with a fifth of a processor.
func limited(t *testing.T) string {
	t.Helper()
	var faults error
	for _, g := range []struct{ base, file, quota string }{
		{"/sys/fs/cgroup", "cpu.max", "20000 100000"},
		{"/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "20000"}, // of 100,000
	} {
		dir := filepath.Join(g.base, "flashcrowd-test-"+strconv.Itoa(os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			faults = errors.Join(faults, err)
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) })                          // its processes have ended
		f, err := os.OpenFile(filepath.Join(dir, g.file), os.O_WRONLY, 0) // there, or this is no such group
		if err == nil {
			_, err = f.WriteString(g.quota)
			err = errors.Join(err, f.Close())
		}
		if err == nil {
			return dir
		}
		faults = errors.Join(faults, err)
	}
	t.Skipf("needs root and a control group of its own: %v", faults)
	return ""
}
