package host

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

// files makes a file system of "name: text" lines.
func files(lines ...string) fstest.MapFS {
	root := fstest.MapFS{}
	for _, line := range lines {
		name, text, _ := strings.Cut(line, ": ")
		root[name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return root
}

func TestLook(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name  string
		files []string
		want  Machine
	}{
		{"no such files", nil, Machine{4, 0, 1024, 0}},
		{"no groups", []string{"proc/meminfo: MemTotal: 4096 kB\nMemAvailable: 2048 kB", "proc/sys/net/ipv4/ip_local_port_range: 32768\t60999"}, Machine{4, 2 * mb, 1024, 28232}},
		{"version 2", []string{
			"proc/self/cgroup: 0::/a/b", "sys/fs/cgroup/a/b/cpu.max: 150000 100000", "sys/fs/cgroup/a/b/memory.max: 104857600",
			"sys/fs/cgroup/a/b/memory.current: 52428800", "sys/fs/cgroup/a/b/memory.stat: anon 5\ninactive_file 10485760\nfile 7",
		}, Machine{1.5, 60 * mb, 1024, 0}},
		{"around it is tighter", []string{
			"proc/self/cgroup: 0::/a/b", "sys/fs/cgroup/a/b/cpu.max: max 100000", "sys/fs/cgroup/a/cpu.max: 50000 100000",
			"sys/fs/cgroup/a/b/memory.max: max", "sys/fs/cgroup/memory.max: 1048576",
		}, Machine{0.5, mb, 1024, 0}},
		{"the path is not in the container", []string{"proc/self/cgroup: 0::/../../kubepods/x", "sys/fs/cgroup/cpu.max: 200000 100000"}, Machine{2, 0, 1024, 0}},
		{"version 1", []string{
			"proc/self/cgroup: 4:memory:/job\n3:cpu,cpuacct:/job\n1:name=systemd:/", "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us: 300000", "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us: 100000",
			"sys/fs/cgroup/memory/job/memory.limit_in_bytes: 10485760", "sys/fs/cgroup/memory/job/memory.usage_in_bytes: 11534336", "sys/fs/cgroup/memory/job/memory.stat: cache 1\ntotal_inactive_file 6291456",
		}, Machine{3, 5 * mb, 1024, 0}},
		{"version 1 without limits", []string{
			"proc/self/cgroup: 2:cpu:/\n3:memory:/", "sys/fs/cgroup/cpu/cpu.cfs_quota_us: -1", "sys/fs/cgroup/cpu/cpu.cfs_period_us: 100000", "sys/fs/cgroup/memory/memory.limit_in_bytes: 9223372036854771712",
		}, Machine{4, 0, 1024, 0}},
		{"more than there is", []string{"proc/self/cgroup: 0::/", "sys/fs/cgroup/cpu.max: 9900000 100000"}, Machine{4, 0, 1024, 0}},
		{"used up", []string{"proc/self/cgroup: 0::/", "sys/fs/cgroup/memory.max: 4096", "sys/fs/cgroup/memory.current: 8192"}, Machine{4, 1, 1024, 0}},
		{"garbage", []string{
			"proc/self/cgroup: 0::/\nnothing\n:::\n7", "sys/fs/cgroup/cpu.max: fast 0", "sys/fs/cgroup/memory.max: -5", "proc/meminfo: MemAvailable:", "proc/sys/net/ipv4/ip_local_port_range: 60999 32768",
		}, Machine{4, 0, 1024, 0}},
		{"worse garbage", []string{
			"proc/self/cgroup: 0::/", "sys/fs/cgroup/cpu.max: 100000 0", "sys/fs/cgroup/memory.max: 99999999999999999999", "proc/meminfo: MemAvailable: much kB", "proc/sys/net/ipv4/ip_local_port_range: 1 99999",
		}, Machine{4, 0, 1024, 0}},
		{"no number", []string{"proc/self/cgroup: 0::/", "sys/fs/cgroup/cpu.max: NaN 100000", "sys/fs/cgroup/memory.max: "}, Machine{4, 0, 1024, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Look(files(c.files...), 4, 1024); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// TestLookHere: this machine has something of everything, if it is Linux.
func TestLookHere(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a machine offers is read from Linux's /proc")
	}
	m := Look(os.DirFS("/"), runtime.NumCPU(), 1)
	if m.Processors <= 0 || m.Memory == 0 || m.Ports == 0 {
		t.Errorf("%+v", m)
	}
}
