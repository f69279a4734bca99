package storefront

import (
	"crypto/rand"
	"sync"
)

// mostGuests is how many sessions of MCP are kept. Beyond it somebody's is
// forgotten, who is told so and opens another: a client may go without a word.
const mostGuests = 1 << 20

// guests are the sessions of MCP. They hold nothing: the shop knows its users
// by X-User-Id.
type guests struct {
	mu   sync.Mutex
	here map[string]struct{}
}

// welcome opens a session and returns its id.
func (g *guests) welcome() string {
	id := rand.Text()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.here == nil {
		g.here = map[string]struct{}{}
	}
	if len(g.here) >= mostGuests {
		for somebody := range g.here {
			delete(g.here, somebody)
			break
		}
	}
	g.here[id] = struct{}{}
	return id
}

// knows says whether there is a session with an id.
func (g *guests) knows(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.here[id]
	return ok
}

// leave ends a session, and says whether there was one.
func (g *guests) leave(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.here[id]
	delete(g.here, id)
	return ok
}
