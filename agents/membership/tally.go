package membership

import (
	"maps"
	"sync"
)

// Why somebody was turned away from gossip, as Barred counts it.
const (
	BarredForm     = "gossip in another form"           // no label of ours, another encryption version, cut short, too long
	BarredKey      = "gossip under another key"         // or changed on its way
	BarredProtocol = "node of another protocol version" // counted once for each node, as all that follow
	BarredNode     = "node that describes itself as none does"
	BarredImpostor = "node under a member's name"
	BarredSecond   = "second coordinator"
)

// maxSubjects bounds who a tally remembers, so that a stranger with many names
// can't grow it.
const maxSubjects = 4 << 10

// A Tally counts who was barred, by reason. The zero value is ready, and its
// methods may be called by several goroutines at once.
type Tally struct {
	mu     sync.Mutex
	counts map[string]uint64
	seen   map[[2]string]bool
}

// Add counts one.
func (t *Tally) Add(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(reason)
}

func (t *Tally) add(reason string) {
	if t.counts == nil {
		t.counts = map[string]uint64{}
	}
	t.counts[reason]++
}

// Once counts a subject once for a reason, however often it comes again, and
// reports whether this was the first time. Of more subjects than it can
// remember, each time counts.
func (t *Tally) Once(reason, subject string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	who := [2]string{reason, subject}
	if t.seen[who] {
		return false
	}
	if t.seen == nil {
		t.seen = map[[2]string]bool{}
	}
	if len(t.seen) < maxSubjects {
		t.seen[who] = true
	}
	t.add(reason)
	return true
}

// Forgive takes back what Once counted: the subject came too early, and is
// welcome after all.
func (t *Tally) Forgive(reason, subject string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	who := [2]string{reason, subject}
	if !t.seen[who] {
		return
	}
	delete(t.seen, who)
	if t.counts[reason]--; t.counts[reason] == 0 {
		delete(t.counts, reason)
	}
}

// Counts returns how often each reason was counted; never nil.
func (t *Tally) Counts() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string]uint64, len(t.counts))
	maps.Copy(all, t.counts)
	return all
}
