package storefront

import (
	"hash/fnv"
	"strings"
)

// An item is something for sale. Sessions and answers refer to it by its place
// in the catalogue, also on disk: add at the end, change nothing.
type item struct {
	id      string
	english string // lower case
	chinese string
	price   int64 // fen; 0 of a bill, which costs what the user owes
	kind    kind
}

// A kind is how an item is sold.
type kind uint8

const (
	goods kind = iota // there is always more
	seats             // there are so many, and what is sold is gone
	bill              // everybody has one, pays what it says, and pays it once
)

var catalogue = [...]item{
	{"milk-tea-1", "pearl milk tea", "珍珠奶茶", 1800, goods},
	{"milk-tea-2", "jasmine milk tea", "茉莉奶绿", 1600, goods},
	{"milk-tea-3", "taro milk tea", "芋泥奶茶", 2200, goods},
	{"milk-tea-4", "brown sugar milk tea", "黑糖奶茶", 2400, goods},
	{"milk-tea-5", "cheese milk tea", "芝士奶盖茶", 2800, goods},
	{"coffee-1", "coconut latte", "生椰拿铁", 1900, goods},
	{"coffee-2", "americano", "美式咖啡", 900, goods},
	{"fruit-tea-1", "passion fruit tea", "满杯百香果茶", 2100, goods},
	{"fruit-tea-2", "iced grape tea", "葡萄冰茶", 2300, goods},
	{"bun-1", "red bean bun", "豆沙包", 1200, goods},
	{"dumplings-1", "pork and chive dumplings", "韭菜猪肉水饺", 3200, goods},
	{"film-1", "evening film ticket", "晚场电影票", 4500, seats},
	{"concert-1", "new year concert ticket", "新春音乐会门票", 18000, seats},
	{"table-1", "hotpot table for four", "四人火锅桌位", 8800, seats},
	{"bill-power", "electricity bill", "电费账单", 0, bill},
	{"bill-phone", "phone bill", "话费账单", 0, bill},
}

// find returns the place of the item with that id, or -1.
func find(id string) int {
	for i := range catalogue {
		if catalogue[i].id == id {
			return i
		}
	}
	return -1
}

// named returns the place of the item that text speaks of, or -1.
func named(text string) int {
	text = strings.ToLower(text)
	for i := range catalogue {
		if strings.Contains(text, catalogue[i].english) || strings.Contains(text, catalogue[i].chinese) {
			return i
		}
	}
	for _, kind := range [...]struct{ word, id string }{
		{"milk tea", "milk-tea-1"}, {"奶茶", "milk-tea-1"},
		{"coffee", "coffee-1"}, {"咖啡", "coffee-1"}, {"latte", "coffee-1"}, {"拿铁", "coffee-1"},
		{"fruit tea", "fruit-tea-1"}, {"果茶", "fruit-tea-1"},
		{"dumpling", "dumplings-1"}, {"水饺", "dumplings-1"},
		{"film", "film-1"}, {"电影", "film-1"}, {"concert", "concert-1"}, {"音乐会", "concert-1"},
		{"table", "table-1"}, {"桌", "table-1"},
		{"electricity", "bill-power"}, {"电费", "bill-power"}, {"phone", "bill-phone"}, {"话费", "bill-phone"},
	} {
		if strings.Contains(text, kind.word) {
			return find(kind.id)
		}
	}
	return -1
}

// price returns what one of an item costs a user, fen. What somebody owes on a
// bill is 20 to 320 yuan, by their id: the same every time it is asked for.
func price(place int, user string) int64 {
	it := &catalogue[place]
	if it.kind != bill {
		return it.price
	}
	h := fnv.New32a()
	h.Write([]byte(it.id + " " + user))
	return 2000 + int64(h.Sum32()%30_000)
}
