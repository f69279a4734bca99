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

// speak returns what the assistant says to a, in pieces. It knows the
// catalogue, remembers what the user spoke of, and goes along in three turns:
// offer, sum up, take the order.
func speak(a *ask) []string {
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
	if strings.ContainsFunc(said, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return pieces(speakChinese(len(a.lines), place, count))
	}
	return pieces(speakEnglish(len(a.lines), place, count))
}

func speakChinese(turn, place int, count int64) string {
	if place < 0 {
		return "今天的热门有珍珠奶茶、生椰拿铁和满杯百香果茶，您想要哪一种？告诉我名称和份数就可以。"
	}
	it := catalogue[place]
	switch turn {
	case 1:
		return "有的，附近的小满茶铺有" + it.chinese + "，每份" + yuan(it.price) + "元，大约三十分钟送到，需要几份？"
	case 2:
		return "好的，" + it.chinese + strconv.FormatInt(count, 10) + "份，共" + yuan(it.price*count) + "元，送到您的默认地址，可以使用免单卡，确认下单吗？"
	}
	return "收到，正在为您领取免单卡并提交订单：" + it.chinese + strconv.FormatInt(count, 10) + "份，付款后店铺马上开始制作。"
}

func speakEnglish(turn, place int, count int64) string {
	if place < 0 {
		return "Popular today are pearl milk tea, coconut latte and passion fruit tea, all from shops near you. Which of them would you like, and how many shall I put down?"
	}
	it := catalogue[place]
	switch turn {
	case 1:
		return "Yes, Little Harvest Tea House near you has " + it.english + " for " + yuan(it.price) + " yuan each, and delivery takes about thirty minutes. How many would you like me to order?"
	case 2:
		return "Good, that is " + strconv.FormatInt(count, 10) + " × " + it.english + " for " + yuan(it.price*count) + " yuan, delivered to your usual address. A free-order card can be used with it. Shall I go ahead?"
	}
	return "Thank you. I am claiming the free-order card for you and placing the order for " + strconv.FormatInt(count, 10) + " × " + it.english + " now; the shop starts as soon as it is paid."
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
