package storefront

import "strings"

// An item is something for sale. Sessions and answers refer to it by its place
// in the catalogue, also on disk: add at the end, change nothing.
type item struct {
	id      string
	english string // lower case
	chinese string
	price   int64 // fen
}

var catalogue = [...]item{
	{"milk-tea-1", "pearl milk tea", "珍珠奶茶", 1800},
	{"milk-tea-2", "jasmine milk tea", "茉莉奶绿", 1600},
	{"milk-tea-3", "taro milk tea", "芋泥奶茶", 2200},
	{"milk-tea-4", "brown sugar milk tea", "黑糖奶茶", 2400},
	{"milk-tea-5", "cheese milk tea", "芝士奶盖茶", 2800},
	{"coffee-1", "coconut latte", "生椰拿铁", 1900},
	{"coffee-2", "americano", "美式咖啡", 900},
	{"fruit-tea-1", "passion fruit tea", "满杯百香果茶", 2100},
	{"fruit-tea-2", "iced grape tea", "葡萄冰茶", 2300},
	{"bun-1", "red bean bun", "豆沙包", 1200},
	{"dumplings-1", "pork and chive dumplings", "韭菜猪肉水饺", 3200},
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
	} {
		if strings.Contains(text, kind.word) {
			return find(kind.id)
		}
	}
	return -1
}
