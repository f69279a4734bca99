package chat

// A rule makes a clause of one kind when it has the rule's words: parts in
// their order, separated by *, each any of some words, separated by |.
type rule struct {
	kind  kind
	words string
}

// builtInRules lists the rules by language. How well they tell is measured on
// testdata/refusals.ndjson; README.md of the extensions has the figures.
func builtInRules() map[string][]rule {
	return map[string][]rule{"zh": chinese(), "en": english()}
}

func chinese() []rule {
	return []rule{
		{aside, "如果|假如|要是|万一|提示|逾期|超时将|过期后|不会让您失望|不用担心|别担心|再试其他|再试试别的"},

		// Too busy: said by people's phones on the day itself.
		{no, "稍后|稍候|待会|过会|过一会|等一下|等会|晚点|晚一点|晚些|休息一下*再试|再来|重试|再找我|再领"},
		{no, "明天再来|改天再来|下次早点|请重试|请重新|错峰|刷新页面"},
		{no, "太火爆|领取火爆|太抢手|人气太旺|人数过多|人数较多|人太多|太多人|爆单|挤爆|忙不过来|忙到冒烟|歇会儿"},
		{no, "系统|服务|服务器|网络|通道|线路*繁忙|拥堵|不可用|异常|维护|故障|限制"},
		{no, "开小差|开了个小差|开了小差|过于频繁|太频繁|操作频繁|暂停接单|停止接单|临时关闭|已关闭|休息中|暂停营业|紧急扩容|紧急加资源|抢修"},
		// Not able to, not allowed to.
		{no, "无法|不能|没法|没办法|没有办法|未能|没能|不可以*下单|点单|付款|支付|处理|领取|提交|访问|完成|接单|购买|回答|讨论|提供|出票|办理|参与|继续|帮您|帮你|为您|为你|替您|替你|代您|代替"},
		{no, "不能帮|不能代|帮不了|帮不上|做不到|做不了|办不到|办不了|下不了|接不了|操作不了|付不了|买不了|订不了|领不了|送不了|送不到|处理不了|不具备|实体的手|没有学会|还没学会"},
		{no, "没有|没*能力|接口|权限"},
		{no, "不会*下单|点外卖|点单|付款|购买"},
		{no, "暂不支持|不支持此|不支持该|尚不支持|暂未开放|尚未开放|未开放|暂不可用|暂不提供|仅限部分|只能提供|只能聊"},
		{no, "敏感内容|不当内容|不符合*规则|规定|政策"},
		{no, "聊点别的|换个话题"},
		{no, "请先*登录|实名|认证"},
		// Had enough, sold out, failed.
		{no, "达上限|到上限|达到上限|超出限制|超出了限制|超过限制|超过了限制|抢光|抢完|领完|发完|库存不足|座位不足|余额不足"},
		{no, "失败|没有成功|没成功|出错了|出了点问题|出了问题|出错|提交异常|请求超时|账号存在异常"},
		{no, "没有|没|未*成功"},

		{unclear, "不确定|不太确定|不清楚|不太清楚|未知|确认中|想一想|也可能|可能已经|理解错|什么意思|再说一遍|再说一次"},
		{unclear, "没|没有*明白|听懂|听清|理解|看懂"},
		{unclear, "是否|不知道|好像|似乎|可能*成功|提交|下单|支付"},

		{yes, "下单成功|提交成功|领取成功|支付成功|付款成功|预订成功|充值成功|提交完成|成功下单|成功预订|领好了|下好单|已下单"},
		{yes, "已|已经|成功*下单|下好|点好|提交|领取|领到|预订|支付|付款|充值|出票|取消"},

		{sorry, "抱歉|对不起|不好意思|遗憾|可惜|带来不便|敬请谅解"},
	}
}

func english() []rule {
	const act = "place|order|process|complete|help|assist|access|claim|submit|pay|buy|book|purchas|do that|do this|discuss|take any|take your|apply|find your|verify|enter|pick up|execute|transact|make a p|make p|fulfil|check out|proceed|answer that"
	return []rule{
		{aside, "if you|if the|if it|if a|if there|if your|in case|can't wait|cannot wait|can't go wrong|otherwise|with \"try|says that"},

		{no, "try again later|ask again|come again|ahead of you|can't keep up|try again in|try again shortly|please try again|please retry|try again soon|come back|check back|slow down|wait a moment and try"},
		{no, "high demand|overloaded|overwhelmed|at capacity|too many requests|servers are busy|system is busy|swamped|too quickly|long queue"},
		{no, "is|are|currently|temporarily*unavailable"},
		{no, "ordering is closed|closed for tonight|closed for today|not taking orders|stop taking|stopped taking|no longer taking|stopped accepting|paused new orders"},
		{no, "isn't|not*available yet|available in your|supported|responding|accepting"},
		{no, "something went wrong|ran into an error|ran into a problem|internal error|error occurred|under maintenance|for maintenance|timed out"},

		{no, "can't|cannot|can not|couldn't|could not|unable to|not able to|won't be able|wasn't able|weren't able|aren't able|isn't able|not permitted to|not allowed to|no way of|nothing i can*" + act},
		{no, "cannot be|can't be|could not be|couldn't be*fulfil|placed|applied|completed|used|processed|accepted|made"},
		{no, "don't|do not|doesn't|not|without*have access|the ability|the capability|access to"},
		{no, "don't think i can|not something i can|isn't something i can|not connected to|only answer|no physical hands|as a large language model|beyond what i can|only provide|regret to inform|must decline|have to decline|violates|against our policy|for security reasons|not permitted"},
		{no, "can't do that|cannot do that|can't help|cannot help|please log in|please sign in|log in first|sign in first"},

		{no, "failed|didn't go through|did not go through|didn't succeed|did not succeed|was declined|turned down|was rejected|been rejected|rejected the|been flagged|blocked|not eligible|nothing has been|nothing was|have nothing to|not placed|wasn't placed|not been placed|no order has been|not enough"},
		{no, "cards are sold out|cards have been claimed|reached the|reached your|over the limit|cards ran out|cards have run out|used up|has expired|doesn't deliver|does not deliver|outside our delivery|outside the delivery|no stores|no shops"},

		{unclear, "not sure|not certain|know if|know whether|may or may not|unknown|didn't quite|didn't catch|say that again|rephrase|misunderstood|what do you mean|might not be able|let me think|perhaps|being processed|don't understand|didn't understand"},

		{unclear, "seems to|seem to|may|might*be in|have been|have gone|went through"},

		{yes, "order|booking|payment|top-up|card*has been placed|been confirmed|is placed|is confirmed|confirmed|went through|is in|is submitted|is complete|successful|on its way"},
		{yes, "i've|i have|i just|and i*placed|ordered|claimed|booked|paid|submitted|went through"},
		{yes, "all set|i booked|i ordered|are ordered|ordered there|placed the order now"},

		{sorry, "sorry|apolog|unfortunately|sadly|regret|i'm afraid|oops"},
	}
}
