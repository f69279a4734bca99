package checkout

import (
	"math"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/pick"
)

// FuzzExact holds amounts against what gjson reads: a number that is whole and
// below 2⁵³, however it is written.
func FuzzExact(f *testing.F) {
	for _, amount := range []string{
		"0", "-0", "1800", "-1799", "9007199254740991", "-9007199254740991", "9007199254740992", "-9007199254740992",
		"9223372036854775807", "9223372036854775808", "1e400", "18.00", "1.8e3", "0.5", "5E-1", "1e-400",
		`"1800"`, "true", "null", "[1800]", "{}",
	} {
		f.Add(amount)
	}
	shape := pick.New("amount")
	f.Fuzz(func(t *testing.T, amount string) {
		var found [1]pick.Value
		if !shape.Object([]byte(`{"amount":`+amount+`}`), found[:]) {
			return
		}
		is := gjson.Parse(`{"amount":` + amount + `}`).Get("amount")
		whole := is.Type == gjson.Number && is.Num == math.Trunc(is.Num) && math.Abs(is.Num) < 1<<53
		if n, ok := exact(found[0]); ok != whole || ok && n != int64(is.Num) {
			t.Errorf("%s is %d, %v; gjson says %v, %v", amount, n, ok, is.Num, whole)
		}
	})
}

func TestTotals(t *testing.T) {
	shape := pick.New("totals")
	for _, c := range []struct {
		list        string
		amount, off int64
		ok          bool
	}{
		{`[{"type":"subtotal","amount":30},{"type":"discount","amount":-25},{"type":"total","amount":5}]`, 5, 25, true},
		{`[{"type":"total","amount":5},{"type":"items_discount","amount":20},{"type":"discount","amount":5}]`, 5, 25, true},
		{`[{"type":"total","amount":5},{"type":"total","amount":6}]`, 5, 0, true},
		{`[{"type":"total"},{"type":"total","amount":6},{"type":"discount","amount":1.5}]`, 0, 0, false},
		{`["total",{"type":"discount","amount":"5"}]`, 0, 0, false},
		{`{"type":"total","amount":5}`, 0, 0, false},
	} {
		var found [1]pick.Value
		shape.Object([]byte(`{"totals":`+c.list+`}`), found[:])
		if amount, off, ok := totals(&answer{ofTotals: found[0]}); amount != c.amount || off != c.off || ok != c.ok {
			t.Errorf("%s: %d, %d off, %v", c.list, amount, off, ok)
		}
	}
}
