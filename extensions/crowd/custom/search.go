package custom

import (
	"math"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// mostOffers is how many of what a search finds are taken.
const mostOffers = 100

// found returns what a search found. What has no id that a request could carry
// is passed over.
func found(at *scenarios.Items, body []byte) (offers []scenarios.Offer) {
	gjson.GetBytes(body, at.List).ForEach(func(_, item gjson.Result) bool {
		text := func(path string) string {
			if path == "" || !item.IsObject() {
				return ""
			}
			return plain(item.Get(path))
		}
		if id := text(at.ID); id != "" && len(id) <= longest {
			offer := scenarios.Offer{ID: strings.Clone(id), Title: wire.Clip(text(at.Title)), Currency: wire.Clip(strings.ToUpper(text(at.Currency)))}
			if at.Price != "" {
				if n := item.Get(at.Price); n.Type == gjson.Number && n.Num == math.Trunc(n.Num) && math.Abs(n.Num) < 1<<53 {
					offer.Price = int64(n.Num)
				}
			}
			offers = append(offers, offer)
		}
		return len(offers) < mostOffers
	})
	return offers
}
