package storefront

import (
	"fmt"
	"testing"
)

// The last coupons are found, whichever shard they are in, and the count holds
// over a restart.
func TestShardsRebalance(t *testing.T) {
	const stock = 3 * shardCount
	o := Options{Design: "sharded-coupons", Stock: stock, PerUser: stock, RowTime: -1, Books: t.TempDir() + "/books.db"}
	t.Run("before", func(t *testing.T) {
		url := start(t, o)
		for i := range stock / 2 { // all from one shard
			claimOf("ann", fmt.Sprint("r", i)).ok(t, url, 200)
		}
	})
	t.Run("after", func(t *testing.T) {
		url := start(t, o)
		for i := stock / 2; i < stock; i++ {
			claimOf("ann", fmt.Sprint("r", i)).ok(t, url, 200)
		}
		for i := range shardCount {
			expect(t, claimOf(fmt.Sprint("u", i), fmt.Sprint("s", i)).ok(t, url, 403), "code", "NOT_ENOUGH")
		}
		claimOf("ann", "r0").ok(t, url, 200)
		expect(t, call{method: "GET", path: "/books/summary"}.ok(t, url, 200), "coupons.issued", fmt.Sprint(stock))
	})
}
