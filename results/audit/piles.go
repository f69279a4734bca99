package audit

import (
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"sync"
)

// A Scratch is a file for the audit's own use while it lasts. Nobody else
// writes to it, and its end is nobody's business: it is best removed from its
// folder as soon as it is open.
type Scratch interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

const (
	pileCount = 128      // piles of a view: one at a time is in memory, for each processor
	blockSize = 32 << 10 // of a pile, before it goes to scratch
)

// A view is records that are looked at together where they share a name: an
// order's id, a key, a user. They are dealt into piles by a hash of it, so that
// whatever shares a name is in one pile.
type view [pileCount]pile

// A pile is records, one after another.
type pile struct {
	mu     sync.Mutex
	block  []byte // the last ones
	blocks [][]byte
	spans  []span // in scratch, in place of blocks
}

type span struct{ at, length int64 }

// scratch hands out room in a file that is opened when it is needed first.
type scratch struct {
	open  func() (Scratch, error) // nil: blocks stay in memory
	block int
	mu    sync.Mutex
	file  Scratch
	end   int64
}

// room returns the file and where in it n bytes may be written.
func (s *scratch) room(n int) (Scratch, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		f, err := s.open()
		if err != nil {
			return nil, 0, fmt.Errorf("open a scratch file: %w", err)
		}
		s.file = f
	}
	at := s.end
	s.end += int64(n)
	return s.file, at, nil
}

func (s *scratch) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// add puts a record into the pile of its name. Several may do so at once.
func (v *view) add(s *scratch, seed maphash.Seed, name string, record []byte) error {
	p := &v[maphash.String(seed, name)%pileCount]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.block = append(p.block, record...)
	if len(p.block) < s.block {
		return nil
	}
	if s.open == nil {
		p.blocks, p.block = append(p.blocks, p.block), nil
		return nil
	}
	file, at, err := s.room(len(p.block))
	if err != nil {
		return err
	}
	if _, err := file.WriteAt(p.block, at); err != nil {
		return fmt.Errorf("write to the scratch file, which has %d MB: %w", at>>20, err)
	}
	p.spans = append(p.spans, span{at, int64(len(p.block))})
	p.block = p.block[:0]
	return nil
}

// empty says that there is nothing to take.
func (p *pile) empty() bool { return len(p.block)+len(p.blocks)+len(p.spans) == 0 }

// take returns all records of a pile, and forgets them.
func (p *pile) take(s *scratch) (string, error) {
	size := len(p.block)
	for _, b := range p.blocks {
		size += len(b)
	}
	for _, at := range p.spans {
		size += int(at.length)
	}
	var all strings.Builder
	all.Grow(size)
	for _, b := range p.blocks {
		all.Write(b)
	}
	var buf []byte
	for _, at := range p.spans {
		buf = slices.Grow(buf[:0], int(at.length))[:at.length]
		if n, err := s.file.ReadAt(buf, at.at); n < len(buf) {
			return "", fmt.Errorf("read the scratch file: %d of %d bytes at %d: %w", n, len(buf), at.at, err)
		}
		all.Write(buf)
	}
	all.Write(p.block)
	p.block, p.blocks, p.spans = nil, nil, nil
	return all.String(), nil
}
