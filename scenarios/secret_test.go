package scenarios

import (
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	env := map[string]string{"TOKEN": "s3cret", "HOST": "shop", "EMPTY": "", "LINES": "a\r\nb"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for _, c := range []struct{ text, want, fault string }{
		{"plain", "plain", ""},
		{"Bearer ${TOKEN}", "Bearer s3cret", ""},
		{"http://${HOST}/${HOST}", "http://shop/shop", ""},
		{"costs $5, or $x", "costs $5, or $x", ""},
		{"${EMPTY}", "", ""},
		{"${MISSING}", "", "${MISSING} is not set"},
		{"${LINES}", "", "line break"},
		{"${TOKEN", "", "no ${NAME}"},
		{"${}", "", "no ${NAME}"},
	} {
		got, err := resolve(c.text, lookup)
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: %q, %v; want %q, %q", c.text, got, err, c.want, c.fault)
		}
	}
	target := Target{
		URL: "http://${HOST}", Headers: map[string]string{"Authorization": "${TOKEN}"},
		Chat: Endpoint{Model: "${TOKEN}"}, Coupons: Endpoint{StockID: "${TOKEN}"}, Checkout: Endpoint{Path: "/${HOST}"},
	}
	r, err := target.Resolve(lookup)
	if err != nil || r.URL != "http://shop" || r.Headers["Authorization"] != "s3cret" || r.Chat.Model != "s3cret" || r.Coupons.StockID != "s3cret" || r.Checkout.Path != "/shop" {
		t.Errorf("%+v, %v", r, err)
	}
	if target.Headers["Authorization"] != "${TOKEN}" {
		t.Error("resolving changed the plan's own target")
	}
}
