package chat

import "slices"

// A matcher finds any of many words in a text in one pass over its bytes (Aho
// and Corasick 1975). Letters of ASCII are compared without case, and a word
// that begins with one is found only where no letter stands before it.
type matcher struct {
	class  [256]uint8 // of a byte: those that no word has share one
	width  int
	next   []uint32  // of state × class: where the row of the next state begins, and whether words end there
	ends   [][]int32 // by state: the words that end there
	words  []string
	letter []bool // by word: it begins with a letter of ASCII
}

// ending marks a state where words end.
const ending = 1 << 31

func newMatcher(words []string) *matcher {
	m := &matcher{width: 1, words: words, letter: make([]bool, len(words))}
	for _, w := range words {
		for _, b := range []byte(w) {
			if b = fold(b); m.class[b] == 0 {
				m.class[b] = uint8(m.width)
				m.width++
			}
		}
	}
	for b := range m.class {
		m.class[b] = m.class[fold(byte(b))]
	}
	m.grow()
	for i, w := range words {
		m.letter[i] = isLetter(w[0])
		at := 0
		for _, b := range []byte(w) {
			to := &m.next[at*m.width+int(m.class[b])]
			if *to == 0 {
				n := uint32(len(m.ends))
				m.grow()
				m.next[at*m.width+int(m.class[b])] = n // grow may have moved it
				at = int(n)
				continue
			}
			at = int(*to)
		}
		m.ends[at] = append(m.ends[at], int32(i))
	}
	m.link()
	return m
}

// grow adds a state.
func (m *matcher) grow() {
	m.next = append(m.next, make([]uint32, m.width)...)
	m.ends = append(m.ends, nil)
}

// link fills in where each state goes on when no word does: as its longest
// suffix that begins a word.
func (m *matcher) link() {
	suffix := make([]int, len(m.ends))
	var queue []int
	for _, to := range m.next[:m.width] {
		if to != 0 {
			queue = append(queue, int(to))
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		m.ends[at] = append(m.ends[at], m.ends[suffix[at]]...)
		for c := range m.width {
			to := &m.next[at*m.width+c]
			other := m.next[suffix[at]*m.width+c]
			if *to == 0 {
				*to = other
				continue
			}
			suffix[*to] = int(other)
			queue = append(queue, int(*to))
		}
	}
	for i, to := range m.next { // from here on the search need not multiply
		if m.next[i] = to * uint32(m.width); len(m.ends[to]) > 0 {
			m.next[i] |= ending
		}
	}
}

// each calls found for each word, in the order in which they end, until it
// returns false.
func (m *matcher) each(text []byte, found func(word, start, end int) bool) {
	at := uint32(0)
	for i, b := range text {
		to := m.next[at+uint32(m.class[b])]
		if at = to &^ ending; at == to {
			continue
		}
		for _, w := range m.ends[at/uint32(m.width)] {
			start := i + 1 - len(m.words[w])
			if m.letter[w] && start > 0 && isLetter(text[start-1]) {
				continue
			}
			if !found(int(w), start, i+1) {
				return
			}
		}
	}
}

func fold(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

func isLetter(b byte) bool { b = fold(b); return 'a' <= b && b <= 'z' }

// number returns the place of a word among words, which it may add.
func number(words *[]string, word string) int {
	i := slices.Index(*words, word)
	if i < 0 {
		i = len(*words)
		*words = append(*words, word)
	}
	return i
}
