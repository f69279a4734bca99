package scenarios

// What shoppers want beside food and drink. The built-in storefront sells all
// of it; at another backend the ids come from the campaign.

var tickets = [...]good{
	{"film-1", [...]string{"晚场电影票", "evening film ticket"}},
	{"concert-1", [...]string{"新春音乐会门票", "new year concert ticket"}},
	{"table-1", [...]string{"四人火锅桌位", "hotpot table for four"}},
}

var bills = [...]good{
	{"bill-power", [...]string{"电费账单", "electricity bill"}},
	{"bill-phone", [...]string{"话费账单", "phone bill"}},
}

// wares returns what the shopper chooses from.
func (s Shopper) wares() []good {
	switch s.Journey {
	case "booking":
		return tickets[:]
	case "bill":
		return bills[:]
	}
	return goods[:]
}

// lines returns how the shopper says a part of its conversation.
func (s Shopper) lines(p part) []string {
	switch {
	case s.Journey == "booking":
		return bookingPhrases[s.language()][p]
	case s.Journey == "bill":
		return billPhrases[s.language()][p]
	case s.Journey == "repeat" && p == confirm:
		return fullPrice[s.language()]
	case s.Journey == "browse" && p == choose: // who only looks does not
		return phrases[s.language()][ask]
	case s.Journey == "browse" && p == confirm:
		return onlyLooked[s.language()]
	}
	return phrases[s.language()][p]
}

var bookingPhrases = [languages][parts][]string{
	chinese: {
		{"今晚还有{item}吗？", "帮我看看{item}还能不能订", "想订{item}，今晚有空位吗？"},
		{"就订今晚的{item}，要{n}份", "{item}来{n}份，位子要在一起"},
		{"好的，就这样预订", "确认，直接付款"},
		{"{item}还剩多少？", "{n}份{item}一共多少钱？", "{item}明天也有吗？"},
	},
	english: {
		{"What is on tonight? I'd like the {item}.", "Can I still book this for tonight: {item}?", "I'd like to go out: {item}. Is there anything left?"},
		{"I'll take {n} × {item} for tonight.", "{n} × {item} then, next to each other."},
		{"Yes, book it.", "Confirmed. I'll pay now."},
		{"How many are left of the {item}?", "What do {n} × {item} come to?", "Is the {item} there tomorrow, too?"},
	},
}

var billPhrases = [languages][parts][]string{
	chinese: {
		{"帮我查一下这个月的{item}", "我的{item}出来了吗？", "{item}要交多少钱？"},
		{"就是这个{item}，一次付清", "对，帮我交这期的{item}"},
		{"好的，交吧", "确认，现在付款"},
		{"{item}比上个月多吗？", "{item}最晚什么时候交？"},
	},
	english: {
		{"Look up my {item} for this month, please.", "Is my {item} out yet?", "How much is my {item}?"},
		{"That {item}, all of it at once.", "Yes, I want to pay this {item}."},
		{"Yes, pay it.", "Confirmed. Pay it now."},
		{"Is the {item} higher than last month's?", "When is the {item} due?"},
	},
}
