package ci

import (
	"bytes"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// unwanted is text that no file may hold. The patterns are put together from
// parts so that they don't find themselves.
var unwanted = []struct {
	pattern *regexp.Regexp
	except  []string // paths
	what    string
	instead string
}{
	{
		pattern: regexp.MustCompile(`(^|[^\w.-])/(` + `work|root|home|farm)/`),
		what:    "a path of somebody's machine",
		instead: "use a path relative to the repository, or a temporary folder",
	}, {
		pattern: regexp.MustCompile(`\.\./` + `shared\b`),
		except:  []string{".ci/run"},
		what:    "a folder beside the clone, which nobody else has",
		instead: "take the folder from an environment variable and say clearly when it is not set",
	}, {
		pattern: regexp.MustCompile(`\b(proxy\.` + `golang|sum\.` + `golang|registry\.` + `npmjs|crates\.` + `io|` +
			`pypi\.` + `org|files\.` + `pythonhosted|npm` + `mirror|go` + `proxy\.(io|cn))\b`),
		what:    "the host of a package registry",
		instead: "leave it to the user's own settings, such as GOPROXY",
	}, {
		pattern: regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b[^#]*$`),
		what:    "a note to come back later, without an issue",
		instead: "do it now, or open an issue and name its number: #12",
	},
}

func TestText(t *testing.T) { holds(t, text) }

func text(tr tree) []finding {
	var found []finding
	for _, p := range tr.paths {
		content, err := fs.ReadFile(tr.fs, p)
		if err != nil {
			found = append(found, finding{p, err.Error(), "make it readable, or remove it"})
			continue
		}
		if bytes.IndexByte(content[:min(len(content), 8000)], 0) >= 0 {
			continue // not text
		}
		for i, line := range bytes.Split(content, []byte("\n")) {
			for _, u := range unwanted {
				if !within(p, u.except...) && u.pattern.Match(line) {
					found = append(found, finding{p + ":" + strconv.Itoa(i+1), u.what, u.instead})
				}
			}
		}
	}
	return found
}

func TestTextCanFail(t *testing.T) {
	// ¦ is taken out, so that these lines pass the rule that they test.
	bad := func(text string) string { return strings.ReplaceAll(text, "¦", "") }
	catches(t, text,
		misdeed{"other people's paths and hosts", bad(`
-- Makefile --
x: ; cp /wo¦rk/a "/ho¦me/b" /tmp/c
y: ; cat ../sha¦red/specs
z: ; GOPROXY=https://proxy.gol¦ang.org go build
-- agents/a.go --
package agents // TO¦DO: write it
`), []string{"Makefile:1", "Makefile:2", "Makefile:3", "agents/a.go:1"}},
		misdeed{"harmless", bad(`
-- .ci/run --
specs=../sha¦red/specs
-- README.md --
See https://example.com/ho¦me/ and ./wo¦rk/; homework/root; todo lists. TO¦DO(#12): more.
-- a.bin --
`) + "\x00 /wo" + "rk/", nil},
	)
}
