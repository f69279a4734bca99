// Package host knows the machine that a generator runs on: what of it the
// generator may use, which is a control group's part where it is in one, and what
// the system has withheld from it. It reads Linux's files; elsewhere it knows
// nothing.
package host

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// A Machine is what the workers on it may use together, but for Files, which
// each process has for itself. What can't be found out is 0: the system does not
// say, or says what nobody can read.
type Machine struct {
	Processors float64 // the cores, or what a control group allows of them
	Memory     uint64  // bytes: what is available, or what a control group leaves
	Files      uint64  // open at once in one process
	Ports      uint64  // local ports from one address to one target
}

// Look finds out what the machine offers. Root is the root of the file system;
// cores are those that the process may run on, files its limit of open files.
//
// Control groups are looked up in version 2 and in version 1, for the group of
// this process and for those around it: the tightest counts. In a container the
// group's own path may not be there; then the mounted root is the group.
func Look(root fs.FS, cores int, files uint64) Machine {
	m := Machine{Processors: float64(cores), Files: files, Ports: ports(root)}
	least := uint64(math.MaxUint64)
	if v, ok := field(root, "proc/meminfo", "MemAvailable:"); ok {
		least = v << 10
	}
	for _, g := range groups(root) {
		if quota, ok := g.quota(root); ok {
			m.Processors = min(m.Processors, quota)
		}
		if left, ok := g.left(root); ok {
			least = min(least, left)
		}
	}
	if least < math.MaxUint64 {
		m.Memory = least
	}
	return m
}

// ports counts the range that the system takes local ports from.
func ports(root fs.FS) uint64 {
	ends := tokens(root, "proc/sys/net/ipv4/ip_local_port_range")
	if len(ends) != 2 {
		return 0
	}
	from, err1 := strconv.ParseUint(ends[0], 10, 16)
	to, err2 := strconv.ParseUint(ends[1], 10, 16)
	if err1 != nil || err2 != nil || from > to {
		return 0
	}
	return to - from + 1
}

// A group is a control group as a folder.
type group struct {
	dir string
	v2  bool
}

// groups lists the groups that bind this process, from its own to the root.
func groups(root fs.FS) (all []group) {
	b, _ := fs.ReadFile(root, "proc/self/cgroup") // none: no groups
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // 0::/path, or 4:cpu,cpuacct:/path
		if len(parts) != 3 {
			continue
		}
		bases := []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}
		if parts[1] != "" {
			bases = nil
			for _, controller := range strings.Split(parts[1], ",") {
				if controller == "cpu" || controller == "memory" {
					bases = append(bases, "sys/fs/cgroup/"+controller, "sys/fs/cgroup/"+parts[1])
				}
			}
		}
		for _, base := range bases {
			for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
				all = append(all, group{path.Join(base, at), parts[1] == ""})
				if at == "/" {
					break
				}
			}
		}
	}
	return all
}

// quota is how many processors the group may keep busy; false without a limit.
func (g group) quota(root fs.FS) (float64, bool) {
	limits := tokens(root, path.Join(g.dir, "cpu.max")) // "50000 100000", or "max 100000"
	if !g.v2 {
		limits = append(tokens(root, path.Join(g.dir, "cpu.cfs_quota_us")), tokens(root, path.Join(g.dir, "cpu.cfs_period_us"))...)
	}
	if len(limits) != 2 {
		return 0, false
	}
	quota, err1 := strconv.ParseFloat(limits[0], 64)
	period, err2 := strconv.ParseFloat(limits[1], 64)
	if err1 != nil || err2 != nil || !(quota > 0) || !(period > 0) || math.IsInf(quota/period, 0) {
		return 0, false // max, -1, or nothing that makes sense
	}
	return quota / period, true
}

// left is how much memory the group may still take; false without a limit. What
// the group holds of files on disk can be given back and is not taken off.
func (g group) left(root fs.FS) (uint64, bool) {
	limit, usage, cache := "memory.max", "memory.current", "inactive_file"
	if !g.v2 {
		limit, usage, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	}
	most, ok := number(root, path.Join(g.dir, limit))
	if !ok || most > 1<<60 { // how version 1 spells "no limit"
		return 0, false
	}
	used, _ := number(root, path.Join(g.dir, usage))
	idle, _ := field(root, path.Join(g.dir, "memory.stat"), cache)
	used -= min(used, idle)
	return max(most-min(most, used), 1), true
}

func tokens(root fs.FS, name string) []string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

func number(root fs.FS, name string) (uint64, bool) {
	all := tokens(root, name)
	if len(all) != 1 {
		return 0, false
	}
	v, err := strconv.ParseUint(all[0], 10, 64)
	return v, err == nil
}

// field returns the number that follows a word.
func field(root fs.FS, name, word string) (uint64, bool) {
	all := tokens(root, name)
	for i := range len(all) - 1 {
		if all[i] == word {
			v, err := strconv.ParseUint(all[i+1], 10, 54)
			return v, err == nil
		}
	}
	return 0, false
}
