package storefront

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An answer is cut into this many pieces, each standing for a token.
const (
	fewestPieces = 24
	mostPieces   = 40
)

// A reply is what the assistant answers: words in pieces, or calls.
type reply struct {
	words []string
	calls []toolCall
}

// speak returns what the assistant answers to a. It knows the
// catalogue and what the user owes, remembers what the user spoke of, and goes
// along in three turns: offer, sum up, take the order.
func speak(a *ask) reply {
	said := a.lines[len(a.lines)-1]
	place := -1
	for i := len(a.lines) - 1; i >= 0 && place < 0; i-- {
		place = named(a.lines[i])
	}
	count := int64(1)
	for i := len(a.lines) - 1; i >= 0; i-- {
		if n := number(a.lines[i]); n > 0 {
			count = n
			break
		}
	}
	words := &english
	if isChinese(said) {
		words = &chinese
	}
	if a.tools.offered != nil {
		switch calls := a.wants(place, count); {
		case len(calls) > 0:
			return reply{calls: calls}
		case a.tools.failed != "":
			return reply{words: pieces(strings.ReplaceAll(words.sorry, "{why}", a.tools.failed))}
		}
	}
	if place < 0 {
		return reply{words: pieces(words.lost)}
	}
	it, each := &catalogue[place], price(place, a.user)
	text := words.turns[it.kind][min(len(a.lines), 3)-1]
	text = strings.ReplaceAll(text, "{item}", words.title(it))
	text = strings.ReplaceAll(text, "{n}", strconv.FormatInt(count, 10))
	text = strings.ReplaceAll(text, "{each}", yuan(each))
	return reply{words: pieces(strings.ReplaceAll(text, "{sum}", yuan(each*count)))}
}

// phrases are what the assistant says in a language.
type phrases struct {
	title func(*item) string
	lost  string              // when nothing for sale was spoken of
	sorry string              // when a call did not do it
	turns [bill + 1][3]string // by what it is about
}

func isChinese(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

var chinese = phrases{
	title: func(it *item) string { return it.chinese },
	lost:  "今天的热门有珍珠奶茶、生椰拿铁和满杯百香果茶，您想要哪一种？告诉我名称和份数就可以。",
	sorry: "抱歉，店铺这边没有办成您的订单，原因是：{why}。您可以换一样，或者晚一点再来找我。",
	turns: [...][3]string{
		goods: {
			"有的，附近的小满茶铺有{item}，每份{each}元，大约三十分钟送到，需要几份？",
			"好的，{item}{n}份，共{sum}元，送到您的默认地址，可以使用免单卡，确认下单吗？",
			"收到，正在为您领取免单卡并提交订单：{item}{n}份，付款后店铺马上开始制作。",
		},
		seats: {
			"有的，今晚的{item}还有位子，每份{each}元，订好之后凭订单号入场，您需要订几份？",
			"好的，今晚的{item}{n}份，共{sum}元，付款之后位子就为您留好了，确认预订吗？",
			"收到，正在为您预订今晚的{item}{n}份，付款之后就可以凭订单号入场了，祝您愉快。",
		},
		bill: {
			"帮您查到了本期的{item}，应缴金额是{each}元，账单缴清之后不能重复缴，现在就缴吗？",
			"好的，本期的{item}共{each}元，从您的默认账户一次付清，不能使用免单卡，确认缴费吗？",
			"收到，正在为您缴清本期的{item}，金额{each}元，付款之后请留意到账的通知。",
		},
	},
}

var english = phrases{
	title: func(it *item) string { return it.english },
	lost:  "Popular today are pearl milk tea, coconut latte and passion fruit tea, all from shops near you. Which of them would you like, and how many shall I put down?",
	sorry: "I am sorry, the shop has not taken your order. The reason it gave is this: {why}. You could choose something else, or come back to me a little later.",
	turns: [...][3]string{
		goods: {
			"Yes, Little Harvest Tea House near you has {item} for {each} yuan each, and delivery takes about thirty minutes. How many would you like me to order?",
			"Good, that is {n} × {item} for {sum} yuan, delivered to your usual address. A free-order card can be used with it. Shall I go ahead?",
			"Thank you. I am claiming the free-order card for you and placing the order for {n} × {item} now; the shop starts as soon as it is paid.",
		},
		seats: {
			"Yes, there is still room tonight: {item} for {each} yuan each, and the number of your order lets you in. How many would you like me to book?",
			"Good, that is {n} × {item} for {sum} yuan tonight. The seats are yours as soon as they are paid. Shall I go ahead and book them?",
			"Thank you. I am booking {n} × {item} for tonight; once it is paid, the number of your order is all you need to be let in.",
		},
		bill: {
			"I have looked it up: your {item} for this month comes to {each} yuan, and it can be paid once. Would you like me to pay it for you now?",
			"Good, your {item} for this month is {each} yuan, to be paid at once and from your usual account; no card can be used with it. Shall I pay it?",
			"Thank you. I am paying your {item} of {each} yuan in full now; you will hear from the company as soon as the money is there.",
		},
	},
}

// yuan writes an amount of fen as people do.
func yuan(fen int64) string {
	s := strconv.FormatInt(fen/100, 10)
	if cents := fen % 100; cents > 0 {
		s += "." + strconv.FormatInt(100+cents, 10)[1:]
	}
	return s
}

// number returns the first whole number in text from 1 to 99, or 0.
func number(text string) int64 {
	start := strings.IndexFunc(text, unicode.IsDigit)
	if start < 0 {
		return 0
	}
	end := start
	for end < len(text) && end < start+3 && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(text[start:end], 10, 64)
	if err != nil || n > 99 {
		return 0
	}
	return n
}

// pieces cuts text into tokens: words where it has them, else characters, and
// never more than mostPieces.
func pieces(text string) []string {
	var units []string
	if strings.Count(text, " ") >= fewestPieces-1 {
		units = strings.SplitAfter(text, " ")
	} else {
		for len(text) > 0 {
			_, n := utf8.DecodeRuneInString(text)
			units, text = append(units, text[:n]), text[n:]
		}
	}
	if len(units) <= mostPieces {
		return units
	}
	joined := make([]string, mostPieces)
	for i := range joined {
		joined[i] = strings.Join(units[i*len(units)/mostPieces:(i+1)*len(units)/mostPieces], "")
	}
	return joined
}
