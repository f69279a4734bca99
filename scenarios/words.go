package scenarios

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Catalogue lists what shoppers ask for and buy, in English. Prices are the
// backend's business.
func Catalogue() []Item {
	var items []Item
	for _, g := range slices.Concat(goods[:], tickets[:], bills[:]) {
		items = append(items, Item{ID: g.id, Title: g.title[english], Quantity: 1})
	}
	return items
}

type language int

const (
	chinese language = iota
	english
	languages
)

type good struct {
	id    string
	title [languages]string
}

var goods = [...]good{
	{"milk-tea-1", [...]string{"珍珠奶茶", "pearl milk tea"}},
	{"milk-tea-2", [...]string{"茉莉奶绿", "jasmine milk tea"}},
	{"fruit-tea-1", [...]string{"满杯百香果茶", "passion fruit tea"}},
	{"fruit-tea-2", [...]string{"葡萄冰茶", "iced grape tea"}},
	{"coffee-1", [...]string{"生椰拿铁", "coconut latte"}},
	{"coffee-2", [...]string{"美式咖啡", "americano"}},
	{"bun-1", [...]string{"豆沙包", "red bean bun"}},
	{"dumplings-1", [...]string{"韭菜猪肉水饺", "pork and chive dumplings"}},
}

// maxTurns bounds a conversation: a key has room for 64 places in a journey.
const maxTurns = 50

// A part is what a line of a conversation is for.
type part int

const (
	browse part = iota
	choose
	confirm
	ask // between browse and choose, in a conversation of more than three
	parts
)

// turns returns how many exchanges the shopper's conversation has.
func (s Shopper) turns() int {
	if s.plan.Campaign.Crowd.Words.File != "" {
		return max(1, len(s.conversation()))
	}
	return s.plan.Campaign.Crowd.Turns.quantile(s.plan.draws.unit(s.ID, 0, forTurns), maxTurns)
}

// part returns what the shopper's line in a turn is for; beyond the last it is
// the last. Who says one thing only says what it wants.
func (s Shopper) part(turn int) part {
	switch left := s.turns() - 1 - turn; {
	case turn == 0 && left <= 0:
		return choose
	case turn == 0:
		return browse
	case left <= 0:
		return confirm
	case left == 1:
		return choose
	}
	return ask
}

// phrases holds the lines of each part; {item} and {n} are filled in.
var phrases = [languages][parts][]string{
	chinese: {
		{"附近有什么{item}推荐吗？", "帮我看看有没有{item}", "想喝点什么，{item}有吗？", "今天有{item}的活动吗？"},
		{"就要{item}，{n}份，少糖", "第一家的{item}来{n}份", "选{item}，要{n}份，送到家"},
		{"好的，用免单卡下单吧", "确认，帮我领券然后付款", "可以，就这样下单"},
		{"还有别的{item}吗？", "哪家的{item}离我最近？", "{item}多久能送到？", "{n}份{item}一共多少钱？"},
	},
	english: {
		{"Is there a place nearby with {item}?", "Show me some {item}, please.", "I'd like {item}. What do you have?", "Any offers on {item} today?"},
		{"The {item} then, {n} of them, less sugar.", "{n} × {item} from the first shop.", "I'll take {item}, {n}, delivered to my place."},
		{"Yes, use the free-order card and place the order.", "Confirmed. Claim the coupon for me and pay.", "Fine, order it."},
		{"Are there other kinds of {item}?", "Which place with {item} is closest?", "How long until the {item} is here?", "What do {n} × {item} come to?"},
	},
}

// fullPrice holds the last lines of somebody who has no coupon to use.
var fullPrice = [languages][]string{
	chinese: {"好的，就这样下单", "和上次一样，直接付款"},
	english: {"Yes, place the order.", "Same as last time. I'll pay now."},
}

// onlyLooked holds the last lines of somebody who buys nothing: an assistant that
// drives would carry out an order.
var onlyLooked = [languages][]string{
	chinese: {"好的，谢谢，我再看看", "先不买了，谢谢"},
	english: {"Thanks, I'm only looking.", "Not today, thank you."},
}

// again returns a line as somebody says it who has said it before.
func (s Shopper) again(line string) string {
	spoken := english
	if strings.ContainsFunc(line, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		spoken = chinese
	}
	return [languages]string{chinese: "再试一次：", english: "Try again: "}[spoken] + line
}

// language returns what the shopper speaks: four in five Chinese, as most of
// the day's shoppers did, and the rest English, so that both are always tried.
func (s Shopper) language() language {
	if s.plan.draws.below(5, s.ID, 0, forLanguage) == 0 {
		return english
	}
	return chinese
}

// A launch of the day's campaign ordered forty cups of milk tea.
const bulk = 40

// item returns what the shopper buys: one thing, seldom two or three of it, milk
// tea for the whole office, or one bill.
func (s Shopper) item() Item {
	quantity := max(1, s.plan.draws.below(10, s.ID, 0, forQuantity)-6)
	switch s.Journey {
	case "bulk-order":
		quantity = bulk
	case "bill":
		quantity = 1
	}
	if id := s.row("items", "id"); id != "" {
		return Item{ID: id, Title: cmp.Or(s.row("items", "title"), id), Quantity: quantity}
	}
	if s.Journey == "bulk-order" {
		return Item{ID: goods[0].id, Title: goods[0].title[s.language()], Quantity: quantity}
	}
	wares := s.wares()
	g := &wares[s.plan.draws.below(len(wares), s.ID, 0, forItem)]
	return Item{ID: g.id, Title: g.title[s.language()], Quantity: quantity}
}

// say returns the shopper's line in a turn, from 0; beyond the last it repeats
// the last.
func (s Shopper) say(turn int) string {
	if s.plan.Campaign.Crowd.Words.File != "" {
		said := s.conversation()
		if len(said) == 0 {
			return ""
		}
		return strings.Clone(said[min(turn, len(said)-1)]) // not the whole conversation with it
	}
	turn = min(turn, s.turns()-1)
	lines := s.lines(s.part(turn))
	line := lines[s.plan.draws.below(len(lines), s.ID, turn, forPhrase)]
	item := s.item()
	line = strings.Replace(line, "{item}", item.Title, 1)
	line = strings.Replace(line, "{n}", strconv.Itoa(item.Quantity), 1)
	return s.lengthened(line, turn)
}

// asides are what people say besides what they want.
var asides = [languages][]string{
	chinese: {"我在公司，前台可以代收。", "上次送来的时候有点洒了，这次请包好一点。", "孩子也要喝，所以不要太冰。", "我不太会用这个，麻烦你一步一步来。", "最好半个小时之内能到。", "如果没有就换一个差不多的。", "我朋友说你们这里有活动。", "地址还是原来那个，不用改。"},
	english: {"I'm at the office and the front desk can take it.", "Last time some of it was spilled, so please have it packed well.", "It's for the children too, so not too cold.", "I haven't used this before, so one step at a time, please.", "Within half an hour would be best.", "If there is none, something like it will do.", "A friend told me that you have an offer.", "The address is the same as before."},
}

// lengthened returns a line with asides, cut to the length that is drawn for
// it. It is never shorter than the line itself.
func (s Shopper) lengthened(line string, turn int) string {
	length := s.plan.Campaign.Crowd.Words.Length
	if length == (Spread{}) {
		return line
	}
	left := length.quantile(s.plan.draws.unit(s.ID, turn, forLength), maxLine) - utf8.RuneCountInString(line)
	b := []byte(line)
	for n := 0; left > 0; n++ {
		all := asides[s.language()]
		for _, r := range " " + all[s.plan.draws.below(len(all), s.ID, turn<<16|n, forPadding)] {
			if left--; left < 0 {
				break
			}
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b)
}
