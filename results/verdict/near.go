package verdict

import "strings"

// near suggests the names that look like name.
func near(name string, names []string) string {
	limit := max(2, len(name)/3)
	var close []string
	for _, n := range names {
		if distance(name, n) <= limit || len(name) > 3 && strings.Contains(n, name) {
			close = append(close, n)
		}
	}
	if len(close) == 0 {
		return ": expected one of " + strings.Join(names, ", ")
	}
	return ": did you mean " + strings.Join(close, " or ") + "?"
}

// distance counts the single-byte edits from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
