package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "campaign.schema.json"

// TestSchema: the schema for editors is what the loader says of itself when it
// is asked, with the words of README.md. -update writes it anew, which is all
// that a new key needs once it has its row there.
func TestSchema(t *testing.T) {
	a := &asker{words: map[string]string{}}
	for _, cells := range rowsUnder(readme(t), "| key | value and range | default | refused | answer |") {
		a.words[unquoted(cells[0])] = cells[1] + " (default: " + cells[2] + ")"
	}
	root := a.ask("", func(value string) string { return value })
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "flashcrowd campaign"
	root["required"] = []string{"name", "crowd", "target"}
	defs := node{}
	gather(root, count(root, map[string]int{}), defs, map[string]string{})
	root["$defs"] = defs
	want, err := json.MarshalIndent(root, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	got, _ := os.ReadFile(schemaFile)
	if bytes.Equal(got, want) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the loader knows: write it anew with\n  go test ./scenarios -run TestSchema -update", schemaFile)
	}
	if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A node is a schema.
type node = map[string]any

// An asker finds out what the loader takes by giving it what it can't.
type asker struct{ words map[string]string }

// Values that mean nothing, and that the loader names when it wants another kind.
const (
	oddKey  = "zzqxzzqxzzqx"
	oddText = "zzqx"
)

var listed = regexp.MustCompile(`^known: (.+)$`)

// ask returns the schema of a key. Doc makes a document in which it has a value.
func (a *asker) ask(path string, doc func(value string) string) node {
	s := node{}
	if words := a.wordsFor(path); words != "" {
		s["description"] = words
	}
	var types []string
	if fault, refused := a.refuses(path, doc("{"+oddKey+": 1}"), "not a mapping"); !refused && faulty(path, doc("{"+oddKey+": 1}")) {
		types = append(types, "object")
		a.object(s, path, doc, fault)
	}
	if _, refused := a.refuses(path, doc("[["+oddKey+"]]"), "not a list"); !refused && path != "" {
		types = append(types, "array")
		if item := path + "[]"; faulty(item, doc("[["+oddKey+"]]")) {
			s["items"] = a.ask(item, func(value string) string { return doc("[" + value + "]") })
		}
	}
	text, noText := a.refuses(path, doc(oddText), fmt.Sprintf("not %q", oddText))
	_, noNumber := a.refuses(path, doc("5"), "not the number 5")
	_, noFlag := a.refuses(path, doc("true"), "not true")
	switch {
	case !noFlag && noText && noNumber:
		types = append(types, "boolean")
	case !noFlag && !noText && !noNumber:
		types = append(types, "string", "number", "boolean")
	case !noText && noNumber:
		types = append(types, "string")
	case !noNumber: // 10_000 and 1/1000 are text to others
		types = append(types, "string", "number")
	case noText && len(types) == 0, strings.Contains(text.Message, "must be a duration"):
		types = append(types, "string")
	}
	if known := listed.FindStringSubmatch(text.Hint); known != nil && slices.Contains(types, "string") && !slices.Contains(types, "number") {
		s["enum"] = strings.Split(known[1], ", ")
	}
	if len(types) == 1 {
		s["type"] = types[0]
	} else {
		s["type"] = types
	}
	return s
}

// object describes a mapping: one of known keys, or of names that the campaign
// gives.
func (a *asker) object(s node, path string, doc func(value string) string, unknown Fault) {
	names := listed.FindStringSubmatch(unknown.Hint)
	if names == nil || unknown.Path != strings.ReplaceAll(path, "[]", "[0]") || !strings.HasPrefix(unknown.Message, "unknown key") {
		name := oddKey
		if strings.HasSuffix(path, "thresholds") {
			name = "turn_ttft"
		}
		s["additionalProperties"] = a.ask(join(path, name), func(value string) string { return doc("{" + name + ": " + value + "}") })
		if names != nil {
			s["propertyNames"] = node{"enum": strings.Split(names[1], ", ")}
		}
		return
	}
	properties := node{}
	for _, name := range strings.Split(names[1], ", ") {
		properties[name] = a.ask(join(path, name), func(value string) string { return doc("{" + name + ": " + value + "}") })
	}
	s["properties"], s["additionalProperties"] = properties, false
}

// faulty says whether the loader finds something in a document at a path, or
// below.
func faulty(path, doc string) bool {
	at := strings.ReplaceAll(path, "[]", "[0]")
	_, err := Parse("", []byte(doc))
	var faults Faults
	errors.As(err, &faults)
	return slices.ContainsFunc(faults, func(f Fault) bool { return strings.HasPrefix(f.Path, at) })
}

// refuses gives a document to the loader. It returns the fault of a path that
// says the wrong kind, and true; or what else is at fault there, or just below.
func (a *asker) refuses(path, doc, kind string) (Fault, bool) {
	at := strings.ReplaceAll(path, "[]", "[0]")
	_, err := Parse("", []byte(doc))
	var faults Faults
	errors.As(err, &faults)
	var other Fault
	for _, f := range faults {
		switch {
		case f.Path == at && strings.HasSuffix(f.Message, kind):
			return f, true
		case f.Path == at && strings.HasPrefix(f.Message, "unknown key"), other.Hint == "" && (f.Path == at || f.Path == join(at, oddKey)):
			other = f
		}
	}
	return other, false
}

// wordsFor returns what README.md has of a key, or of the one that is alike.
func (a *asker) wordsFor(path string) string {
	path = regexp.MustCompile(`^thresholds\.turn_ttft`).ReplaceAllString(path, "thresholds.SELECTOR")
	for _, alike := range [][2]string{
		{"", ""},
		{`^audit\.(coupons|stocks|seats)`, "audit.orders"},
		{`^data\.(items|addresses)\.`, "data.users."},
		{`^target\.checkout\.complete\.poll\.`, "target.chat.turn."},
		{`^target\.login\.refresh\.`, "target.chat.turn."},
		{`^target\.(coupons\.\w+|checkout\.\w+)\.(pending|poll)`, "target.checkout.complete.$2"},
		{`^target\.(coupons|checkout)\.\w+\.`, "target.chat.turn."},
		{`^target\.login\.`, "target.chat.turn."},
		{`^target\.chat\.turn\.answer\.done\.`, "target.chat.turn.rejected[]."},
		{`\.(retry|ok|pending|expired)\[\]\.`, ".rejected[]."},
	} {
		if alike[0] != "" {
			path = regexp.MustCompile(alike[0]).ReplaceAllString(path, alike[1])
		}
		if words := a.words[path]; words != "" {
			return words
		}
	}
	return ""
}

// A child is a schema within another.
type child struct {
	in        node
	key, name string
}

func (c child) schema() node { return c.in[c.key].(node) }

func (c child) text() string { return string(marshal(c.schema())) }

func children(s node) (all []child) {
	properties, _ := s["properties"].(node)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		all = append(all, child{properties, name, name})
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if _, ok := s[key].(node); ok {
			all = append(all, child{s, key, key})
		}
	}
	return all
}

// count counts how often each schema is there.
func count(s node, seen map[string]int) map[string]int {
	for _, c := range children(s) {
		seen[c.text()]++
		count(c.schema(), seen)
	}
	return seen
}

// gather puts what is there often, and large, into one place.
func gather(s node, seen map[string]int, defs node, ids map[string]string) {
	for _, c := range children(s) {
		own, text := c.schema(), c.text()
		if seen[text] < 2 || len(text) < 300 {
			gather(own, seen, defs, ids)
			continue
		}
		id, known := ids[text]
		if !known {
			id = c.name
			for n := 2; defs[id] != nil; n++ {
				id = fmt.Sprint(c.name, n)
			}
			defs[id], ids[text] = own, id
			gather(own, seen, defs, ids)
		}
		c.in[c.key] = node{"$ref": "#/$defs/" + id}
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaFile, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// holds validates a YAML document as an editor does.
func holds(t *testing.T, s *jsonschema.Schema, src []byte) error {
	t.Helper()
	text, err := yaml.YAMLToJSON(src)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// TestSchemaTakes: what the loader takes, the schema takes too.
func TestSchemaTakes(t *testing.T) {
	s := compiled(t)
	files, err := filepath.Glob("campaigns/*.yaml")
	more, wrong := filepath.Glob("../cmd/flashcrowd/testdata/*.yaml")
	if err != nil || wrong != nil || len(files) < 2 || len(more) < 2 {
		t.Fatalf("campaigns: %v, %v", files, more)
	}
	for _, path := range append(files, more...) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := holds(t, s, src); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, b := range yamlBlock.FindAllStringSubmatch(readme(t), -1) {
		text := b[2]
		for key, value := range plain() {
			if b[1] != "" && !regexp.MustCompile("(?m)^"+key+":").MatchString(text) {
				text += fmt.Sprintf("%s: %v\n", key, value)
			}
		}
		if err := holds(t, s, []byte(text)); err != nil {
			t.Errorf("example:\n%s\n%v", text, err)
		}
	}
}

// TestSchemaRefuses: an unknown key and a value of the wrong kind are seen in an
// editor already.
func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for _, change := range [][2]string{
		{"", ""},
		{"crowd.shopers", "1"}, {"nam", "x"}, {"target.chat.modell", "m"}, {"crowd.personas", "{patiemt: 1}"}, {"crowd", "5"},
		{"crowd.stages", "{}"}, {"target.checkout.protocol", "ap2"}, {"crowd.stages[].for", "90"}, {"validity.cpu", "[1]"},
		{"target.chat.turn.answer.evnts", "sse"}, {"target.login.request.body", "7"}, {"crowd.think", "7s"},
	} {
		b := plain()
		if change[0] != "" {
			b.set(change[0], change[1])
		}
		if err := holds(t, s, []byte(b.String())); (err != nil) != (change[0] != "") {
			t.Errorf("%s: %s: %v", change[0], change[1], err)
		}
	}
}
