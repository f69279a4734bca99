package pick

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

var paths = []string{"error", "choices.0.delta.content", "choices.0.finish_reason", "usage.completion_tokens", "usage", "a.b.0.0", "id"}

const chunk = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1770336000,"model":"qwen-shop","choices":[{"index":0,"delta":{"content":"好的"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":128,"completion_tokens":32,"total_tokens":160}}`

func TestObject(t *testing.T) {
	found := make([]Value, len(paths))
	shape := New(paths...)
	for _, c := range []struct {
		data string
		want [7]string // as they came
	}{
		{chunk, [7]string{"", `"好的"`, `"stop"`, "32", `{"prompt_tokens":128,"completion_tokens":32,"total_tokens":160}`, "", `"chatcmpl-1"`}},
		{" { } ", [7]string{}},
		{`{"error":null,"id":-1.5e3,"usage":true}`, [7]string{0: "null", 4: "true", 6: "-1.5e3"}},
		{`{"id":1,"id":2,"\u0065rror":3,"error":4}`, [7]string{0: "3", 6: "1"}},
		{`{"choices":7,"choices":[{"finish_reason":8}]}`, [7]string{}}, // the first counts
		{`{"choices":[7,{"finish_reason":8}]}`, [7]string{}},
		{`{"choices":{"0":{"finish_reason":8}}}`, [7]string{}},
		{`{"a":{"b":[[1,2],3]}}`, [7]string{5: "1"}},
		{`{"x":{"id":1,"usage":{}}}`, [7]string{}},
	} {
		if !shape.Object([]byte(c.data), found) {
			t.Errorf("%s: refused", c.data)
		}
		for i, v := range found {
			if string(v.Raw) != c.want[i] || (v.Kind == Missing) != (c.want[i] == "") || v.Kind != Missing && c.data[v.At:v.At+len(v.Raw)] != c.want[i] {
				t.Errorf("%s: %s is %v %q, want %q", c.data, paths[i], v.Kind, v.Raw, c.want[i])
			}
		}
	}
	for _, data := range []string{"", "[]", "1", "{", `{"a"}`, `{"a":}`, `{"a":1,}`, "{}{}", `{"a":[1,]}`, "{\"a\":\"\x80\"}", `{"a":01}`, `{"a":+1}`, `{"a":"\x"}`, `{"a":"\u12G4"}`, "{\"a\":\"\n\"}", `{"a":nul}`, `{"a":1.}`, `{"a":1e}`, `{"a":-}`} {
		if shape.Object([]byte(data), found) {
			t.Errorf("%q was taken", data)
		}
	}
}

// Strings are read eight bytes at a time: whatever byte stands wherever in one,
// before whatever else, it is taken as encoding/json does.
func TestEveryByteEverywhere(t *testing.T) {
	shape, found := New("a"), make([]Value, 1)
	for c := range 256 {
		for at := range 20 {
			for _, next := range []string{"", "!", "\"", "n", "\x80", "\x1f"} {
				data := []byte(`{"a":"` + strings.Repeat("x", at) + string([]byte{byte(c)}) + next + `xxxxx"}`)
				if got, want := shape.Object(data, found), json.Valid(data) && utf8.Valid(data); got != want || got && string(found[0].Raw) != gjson.GetBytes(data, "a").Raw {
					t.Fatalf("%q: taken: %v, want %v; found %q", data, got, want, found[0].Raw)
				}
			}
		}
	}
}

func TestDepth(t *testing.T) {
	for depth, want := range map[int]bool{maxDepth: true, maxDepth + 1: false, 1 << 20: false} {
		data := []byte(`{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + "}")
		if got := New("b").Object(data, make([]Value, 1)); got != want || json.Valid(data) != want {
			t.Errorf("%d levels: %v, want %v", depth, got, want)
		}
	}
}

func TestEach(t *testing.T) {
	var list, of [2]Value
	if !New("totals", "other").Object([]byte(`{"totals": [ {"type":"tax","amount":1} , 7, [{"type":"no"}], {"x":{"type":3}}, {"amount":2} ],"other":{"type":"a"}}`), list[:]) {
		t.Fatal("refused")
	}
	shape := New("type", "amount")
	for limit, want := range map[int]string{9: "tax=1;=;=2;", 1: "tax=1;"} {
		got := ""
		shape.Each(list[0], of[:], func() bool {
			got += of[0].Text() + "=" + of[1].Text() + ";"
			limit--
			return limit > 0
		})
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	shape.Each(list[1], of[:], func() bool { t.Error("an object has an element"); return true })
}

func TestText(t *testing.T) {
	var v [1]Value
	for raw, want := range map[string]struct{ str, text, inside string }{
		`"a\n\u0062\""`: {"a\nb\"", "a\nb\"", `a\n\u0062\"`}, `"好"`: {"好", "好", "好"}, `""`: {}, "null": {}, "12": {"", "12", ""}, "true": {"", "true", ""}, `{"b":1}`: {"", `{"b":1}`, ""},
	} {
		New("a").Object([]byte(`{"a":`+raw+"}"), v[:])
		if v[0].Str() != want.str || v[0].Text() != want.text || string(v[0].Inside()) != want.inside {
			t.Errorf("%s: %q, %q, %q", raw, v[0].Str(), v[0].Text(), v[0].Inside())
		}
		if v[0].Is(want.str) != (v[0].Kind == String) || v[0].Is("x") {
			t.Errorf("%s is %q: %v", raw, want.str, v[0].Is(want.str))
		}
	}
	if (Value{}).Text() != "" || (Value{}).Is("") {
		t.Error("what is missing has a text")
	}
}

// FuzzObject: what is taken is what encoding/json and gjson take for an object,
// and what is found is what gjson finds, step by step.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{chunk, `{"a":{"b":[[1]]},"id":"\u0061\"","er\u0072or":1.5e-7}`, `{"id":1,"id":2}`, " [", `{"a":"` + "\xff" + `"}`, `{"usage":[],"usage":{"completion_tokens":1}}`, `{"choices":[ ],"\"":0}`} {
		f.Add([]byte(seed))
	}
	shape := New(paths...)
	f.Fuzz(func(t *testing.T, data []byte) {
		found := make([]Value, len(paths))
		ok := shape.Object(data, found)
		trimmed := bytes.TrimLeft(data, " \t\r\n")
		want := len(trimmed) > 0 && trimmed[0] == '{' && utf8.Valid(data)
		if ok != (want && json.Valid(data)) || ok && !gjson.ValidBytes(data) {
			t.Fatalf("%q: taken: %v, json %v, gjson %v", data, ok, json.Valid(data), gjson.ValidBytes(data))
		}
		if !ok {
			return
		}
		for i, path := range paths {
			r := gjson.ParseBytes(data)
			for name := range strings.SplitSeq(path, ".") {
				if name == "0" && !r.IsArray() || name != "0" && !r.IsObject() {
					r = gjson.Result{}
				}
				r = r.Get(name)
			}
			v := found[i]
			if string(v.Raw) != r.Raw || v.Str() != map[bool]string{true: r.Str}[r.Type == gjson.String] || v.Text() != r.String() {
				t.Fatalf("%q: %s is %q, %q, %q, to gjson %q, %q, %q", data, path, v.Raw, v.Str(), v.Text(), r.Raw, r.Str, r.String())
			}
		}
	})
}

func BenchmarkObject(b *testing.B) {
	shape, data := New(paths...), []byte(chunk)
	var found [7]Value
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if !shape.Object(data, found[:]) {
			b.Fatal("refused")
		}
	}
}
