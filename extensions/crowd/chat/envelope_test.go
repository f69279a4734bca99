package chat

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const chunk = `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}],"usage":null}`

// taken is what an answer knows after some chunks; blind says that every one
// is parsed.
func taken(blind bool, chunks ...string) answer {
	var a answer
	for i, c := range chunks {
		if blind {
			a.around = envelope{}
		}
		if !a.take([]byte(c), time.Unix(int64(i), 0)) {
			break
		}
	}
	a.around = envelope{}
	return a
}

func TestEnvelope(t *testing.T) {
	first := fmt.Sprintf(chunk, "Hel")
	for name, next := range map[string]string{
		"plain":        fmt.Sprintf(chunk, "lo"),
		"empty":        fmt.Sprintf(chunk, ""),
		"escaped":      fmt.Sprintf(chunk, `a\"b\n\\`),
		"code point":   fmt.Sprintf(chunk, `\u4f60`),
		"bad escape":   fmt.Sprintf(chunk, `\x`),
		"open escape":  fmt.Sprintf(chunk, `a\`),
		"quote":        fmt.Sprintf(chunk, `a","role":"b`),
		"new line":     fmt.Sprintf(chunk, "a\nb"),
		"not UTF-8":    fmt.Sprintf(chunk, "a\xff"),
		"chinese":      fmt.Sprintf(chunk, "你好"),
		"finish":       strings.Replace(fmt.Sprintf(chunk, "!"), "null}]", `"stop"}]`, 1),
		"usage":        strings.Replace(fmt.Sprintf(chunk, "!"), `"usage":null`, `"usage":{"completion_tokens":9}`, 1),
		"error":        `{"error":{"message":"no"}}`,
		"done":         "[DONE]",
		"another id":   strings.Replace(fmt.Sprintf(chunk, "!"), `"c"`, `"d"`, 1),
		"shorter":      chunk[:40],
		"in the after": strings.Replace(fmt.Sprintf(chunk, "x"), "null}", `null"}`, 1),
	} {
		if got, want := taken(false, first, next, next), taken(true, first, next, next); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nparsed: %+v", name, got, want)
		}
	}
	var a answer
	a.take([]byte(first), time.Unix(1, 0))
	if _, ok := a.around.content([]byte(fmt.Sprintf(chunk, "lo"))); !ok {
		t.Error("nothing was learnt: every chunk is parsed")
	}
}

// FuzzEnvelope: whatever comes after a chunk, taking it by its envelope gives
// what parsing gives.
func FuzzEnvelope(f *testing.F) {
	f.Add(fmt.Sprintf(chunk, "a"), fmt.Sprintf(chunk, "b"), `c\n`)
	f.Add(`{"choices":[{"delta":{"content":"a"}}]}`, `{"choices":[{"delta":{"content":"a","tool_calls":[{"function":{"arguments":"x"}}]}}]}`, "b")
	f.Add(`{"choices":[{"delta":{"content":"a"},"delta":{"content":"b"}}]}`, `{"choices":[{"delta":{"content":""}}]}`, `"`)
	f.Fuzz(func(t *testing.T, first, second, text string) {
		var a answer
		a.take([]byte(first), time.Unix(0, 0))
		third := string(a.around.before) + text + string(a.around.after)
		if got, want := taken(false, first, second, third), taken(true, first, second, third); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nparsed: %+v", got, want)
		}
	})
}

func BenchmarkTake(b *testing.B) {
	data := []byte(fmt.Sprintf(chunk, "茶"))
	for _, c := range []struct {
		name  string
		blind bool
	}{{"parsed", true}, {"envelope", false}} {
		b.Run(c.name, func(b *testing.B) {
			var a answer
			for b.Loop() {
				if c.blind {
					a.around = envelope{}
				}
				a.text = a.text[:0]
				a.take(data, time.Unix(0, 0))
			}
		})
	}
}
