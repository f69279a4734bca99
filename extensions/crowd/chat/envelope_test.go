package chat

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const chunk = `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}],"usage":null}`

// taken is what an answer knows after some events; blind says that every one
// is parsed.
func taken(d dialect, blind bool, events ...string) answer {
	var a answer
	for i, e := range events {
		if blind {
			a.plain, a.thinking = envelope{}, envelope{}
		}
		if !d.take(&a, []byte(e), time.Unix(int64(i), 0)) {
			break
		}
	}
	a.plain, a.thinking = envelope{}, envelope{}
	return a
}

const (
	begun    = `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"%s"},"finish_reason":null}],"usage":null}`
	reasoned = `{"id":"c","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"%s"},"finish_reason":null}],"usage":null}`
	counted  = `{"type":"response.output_text.delta","sequence_number":%d,"item_id":"m","output_index":0,"content_index":0,"delta":"%s","logprobs":[]}`
	countsUp = `{"type":"response.reasoning_text.delta","delta":"%[2]s","item_id":"m","sequence_number":%[1]d}`
)

func TestEnvelope(t *testing.T) {
	type events []string
	for name, d := range map[string]struct {
		dialect dialect
		first   string
		plain   string // one that need not be parsed
		others  []string
	}{
		"content": {completions{}, fmt.Sprintf(chunk, "Hel"), fmt.Sprintf(chunk, "lo"), events{
			fmt.Sprintf(chunk, ""), fmt.Sprintf(chunk, `a\"b\n\\`), fmt.Sprintf(chunk, `\u4f60`), fmt.Sprintf(chunk, `\x`), fmt.Sprintf(chunk, `a\`),
			fmt.Sprintf(chunk, `a","role":"b`), fmt.Sprintf(chunk, "a\nb"), fmt.Sprintf(chunk, "a\xff"), fmt.Sprintf(chunk, "你好"),
			strings.Replace(fmt.Sprintf(chunk, "!"), "null}]", `"stop"}]`, 1),
			strings.Replace(fmt.Sprintf(chunk, "!"), `"usage":null`, `"usage":{"completion_tokens":9}`, 1),
			`{"error":{"message":"no"}}`, "[DONE]", strings.Replace(fmt.Sprintf(chunk, "!"), `"c"`, `"d"`, 1), chunk[:40],
			strings.Replace(fmt.Sprintf(chunk, "x"), "null}", `null"}`, 1), fmt.Sprintf(reasoned, "so"),
		}},
		"content after the role": {completions{}, fmt.Sprintf(begun, ""), fmt.Sprintf(chunk, "Hel"), events{
			fmt.Sprintf(begun, ""), fmt.Sprintf(begun, "Hel"), fmt.Sprintf(chunk, ""), fmt.Sprintf(chunk, `a","role":"b`), fmt.Sprintf(reasoned, "so"),
			strings.Replace(fmt.Sprintf(chunk, "!"), "null}]", `"stop"}]`, 1), strings.Replace(fmt.Sprintf(chunk, "!"), "{", `{"error":{},`, 1),
		}},
		"content and the role": {completions{}, fmt.Sprintf(begun, "Hel"), fmt.Sprintf(begun, "lo"), events{fmt.Sprintf(begun, ""), fmt.Sprintf(chunk, "lo")}},
		"reasoning": {completions{}, fmt.Sprintf(reasoned, "so"), fmt.Sprintf(reasoned, "then"), events{
			fmt.Sprintf(reasoned, ""), fmt.Sprintf(chunk, "so"), strings.Replace(fmt.Sprintf(reasoned, "x"), `"content":null`, `"content":"y"`, 1),
		}},
		"a number before": {responses{}, fmt.Sprintf(counted, 9, "Hel"), fmt.Sprintf(counted, 10, "lo"), events{
			fmt.Sprintf(counted, 0, "lo"), strings.Replace(fmt.Sprintf(counted, 77, "lo"), "77", "07", 1), strings.Replace(fmt.Sprintf(counted, 77, "lo"), "77", "", 1),
			strings.Replace(fmt.Sprintf(counted, 77, "lo"), "77", "-7", 1), strings.Replace(fmt.Sprintf(counted, 77, "lo"), "77", "7.5", 1),
			strings.Replace(fmt.Sprintf(counted, 77, "lo"), "77", `7,"error":{}`, 1), fmt.Sprintf(countsUp, 8, "so"), counted[:60], fmt.Sprintf(counted, 11, `a"`),
		}},
		"a number after": {responses{}, fmt.Sprintf(countsUp, 9, "so"), fmt.Sprintf(countsUp, 123, "then"), events{
			fmt.Sprintf(countsUp, 0, ""), strings.Replace(fmt.Sprintf(countsUp, 77, "x"), "77", "07", 1), strings.Replace(fmt.Sprintf(countsUp, 77, "x"), ":77}", ":77", 1),
			strings.Replace(fmt.Sprintf(countsUp, 77, "x"), "77", "", 1), fmt.Sprintf(counted, 8, "x"),
		}},
	} {
		for _, next := range append(d.others, d.plain) {
			if got, want := taken(d.dialect, false, d.first, next, next), taken(d.dialect, true, d.first, next, next); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: %+v\nparsed: %+v", name, next, got, want)
			}
		}
		var a answer
		d.dialect.take(&a, []byte(d.first), time.Unix(1, 0))
		if !a.takeAgain([]byte(d.plain), time.Unix(2, 0)) {
			t.Errorf("%s: nothing was learnt: every event is parsed", name)
		}
	}
}

// FuzzEnvelope: whatever comes after an event, taking it by its envelope gives
// what parsing gives.
func FuzzEnvelope(f *testing.F) {
	f.Add(fmt.Sprintf(chunk, "a"), fmt.Sprintf(chunk, "b"), `c\n`, "1", false)
	f.Add(`{"choices":[{"delta":{"content":"a"}}]}`, `{"choices":[{"delta":{"content":"a","tool_calls":[{"function":{"arguments":"x"}}]}}]}`, "b", "", false)
	f.Add(`{"choices":[{"delta":{"content":"a"},"delta":{"content":"b"}}]}`, `{"choices":[{"delta":{"content":""}}]}`, `"`, "", false)
	f.Add(fmt.Sprintf(begun, ""), fmt.Sprintf(chunk, "b"), "c", "", false)
	f.Add(`{"choices":[{"delta":{"x":{"role":"assistant","content":""},"role":"assistant","content":"","content":"b"}}]}`, fmt.Sprintf(begun, "b"), "c", "", false)
	f.Add(fmt.Sprintf(reasoned, "a"), fmt.Sprintf(chunk, "b"), "c", "", false)
	f.Add(fmt.Sprintf(counted, 1, "a"), fmt.Sprintf(counted, 2, "b"), "c", "33", true)
	f.Add(fmt.Sprintf(countsUp, 1, "a"), fmt.Sprintf(counted, 2, "b"), "c", "03", true)
	f.Fuzz(func(t *testing.T, first, second, text, number string, other bool) {
		var d dialect = completions{}
		if other {
			d = responses{}
		}
		var a answer
		d.take(&a, []byte(first), time.Unix(0, 0))
		events := []string{first, second}
		for _, e := range []envelope{a.plain, a.thinking} {
			front, back := string(e.front), string(e.back)
			if front != "" {
				front += number
			}
			if back != "" {
				back = number + back
			}
			events = append(events, front+string(e.before)+text+string(e.after)+back)
		}
		if got, want := taken(d, false, events...), taken(d, true, events...); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nparsed: %+v", got, want)
		}
	})
}

func BenchmarkTake(b *testing.B) {
	for _, c := range []struct {
		name    string
		dialect dialect
		event   string
		blind   bool
	}{
		{"completions/parsed", completions{}, fmt.Sprintf(chunk, "茶"), true}, {"completions/envelope", completions{}, fmt.Sprintf(chunk, "茶"), false},
		{"responses/parsed", responses{}, fmt.Sprintf(counted, 7, "茶"), true}, {"responses/envelope", responses{}, fmt.Sprintf(counted, 7, "茶"), false},
	} {
		b.Run(c.name, func(b *testing.B) {
			var a answer
			data := []byte(c.event)
			for b.Loop() {
				if c.blind {
					a.plain, a.thinking = envelope{}, envelope{}
				}
				a.text = a.text[:0]
				c.dialect.take(&a, data, time.Unix(0, 0))
			}
		})
	}
}
