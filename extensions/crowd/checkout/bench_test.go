package checkout

import (
	"testing"

	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// What the null storefront answers to the steps of an order, as recorded.
const (
	recorded = `{"ucp":{"version":"2026-04-08","status":"success","capabilities":{"dev.ucp.shopping.checkout":[{"version":"2026-04-08"}],` +
		`"dev.ucp.shopping.discount":[{"version":"2026-04-08","extends":"dev.ucp.shopping.checkout"}]},` +
		`"payment_handlers":{"dev.flashcrowd.sandbox":[{"version":"2026-04-08","id":"sandbox"}]}},"id":"chk_1",` +
		`"line_items":[{"id":"li_1","item":{"id":"milk-tea-1","title":"珍珠奶茶","price":1800},"quantity":1,` +
		`"totals":[{"type":"subtotal","amount":1800},{"type":"total","amount":1800}]}],`
	recordedDiscount = `"currency":"CNY","totals":[{"type":"subtotal","amount":1800},{"type":"discount","amount":-1799},{"type":"total","amount":1}],` +
		`"discounts":{"codes":["1000000001"],"applied":[{"code":"1000000001","title":"免单卡","amount":1799}]},`
	recordedLinks = `"links":[{"type":"terms_of_service","url":"https://shop.example/terms"}]`

	recordedCreate   = recorded + `"status":"ready_for_complete","currency":"CNY","totals":[{"type":"subtotal","amount":1800},{"type":"total","amount":1800}],` + recordedLinks + "}"
	recordedUpdate   = recorded + `"status":"ready_for_complete",` + recordedDiscount + recordedLinks + "}"
	recordedComplete = recorded + `"status":"completed",` + recordedDiscount + recordedLinks + `,"order":{"id":"ord_1","permalink_url":"https://shop.example/orders/ord_1"}}`
)

// BenchmarkOrder is a checkout without its sockets: three requests are rendered,
// and what was recorded of the answers is classified.
func BenchmarkOrder(b *testing.B) {
	c := overREST(endpoint)
	s := shopper()
	item := scenarios.Item{ID: "milk-tea-1", Title: "珍珠奶茶", Quantity: 1}
	exchanges := []struct {
		step   scenarios.Step
		answer []byte
	}{
		{scenarios.Step{Kind: scenarios.Create, Key: key(5), Item: item}, []byte(recordedCreate)},
		{scenarios.Step{Kind: scenarios.Update, Key: key(6), Item: item, Session: "chk_1", Coupon: "1000000001"}, []byte(recordedUpdate)},
		{scenarios.Step{Kind: scenarios.Complete, Key: key(7), Session: "chk_1", Coupon: "1000000001"}, []byte(recordedComplete)},
	}
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		var head, body []byte
		for b.Loop() {
			for i := range exchanges {
				head = c.appendHead(head[:0], exchanges[i].step)
				_, _, body = c.dialect.request(body[:0], s, exchanges[i].step)
			}
		}
	})
	b.Run("classify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i := range exchanges {
				if r := classify(c.dialect, exchanges[i].step, 200, exchanges[i].answer); r.Outcome != results.OK {
					b.Fatal(r)
				}
			}
		}
	})
}
