package scenarios

// Tools lists what an assistant may have a shopper's agent do at this target.
func (t *Target) Tools() []Tool {
	var all []Tool
	for _, kind := range t.tools() {
		all = append(all, t.tool(kind))
	}
	return all
}

// tools lists the steps that are tools, in the order in which they are offered.
func (t *Target) tools() []StepKind {
	var all []StepKind
	for _, kind := range [...]StepKind{Search, Claim, Create, Update, Complete} {
		switch {
		case kind == Claim && t.Coupons.Protocol == "", kind != Claim && t.Checkout.Protocol == "":
		case kind != Claim && !t.Checkout.offers(kind):
		case kind == Update && (t.Coupons.Protocol == "" || !t.Checkout.takesCodes()):
		default:
			all = append(all, kind)
		}
	}
	return all
}

const (
	itemArgument     = `"item":{"type":"string","description":"The item's id"}`
	quantityArgument = `"quantity":{"type":"integer","minimum":1,"maximum":999,"description":"How many; 1 when left out"}`
	couponArgument   = `"coupon":{"type":"string","description":"A coupon that was claimed"}`
	checkoutArgument = `"checkout":{"type":"string","description":"The checkout's id"}`
)

// tool describes a step to a model. Where a checkout has no update, its coupon
// comes with the item; where it has no create, both come with the completion.
func (t *Target) tool(kind StepKind) Tool {
	buys := itemArgument + "," + quantityArgument
	if t.Coupons.Protocol != "" && !t.Checkout.offers(Update) {
		buys += "," + couponArgument
	}
	object := func(properties, required string) string {
		return `{"type":"object","properties":{` + properties + `},"required":[` + required + `]}`
	}
	tool := Tool{Name: kind.String()}
	switch kind {
	case Search:
		tool.Description = "Search what is for sale. Returns items with their ids and prices in minor units."
		tool.Parameters = object(`"query":{"type":"string","description":"What to look for"}`, `"query"`)
	case Claim:
		tool.Description = "Claim a coupon for the user. Returns its id."
		tool.Parameters = object("", "")
	case Create:
		tool.Description = "Open a checkout for an item. Returns the checkout's id and its total in minor units. Nothing is paid yet."
		tool.Parameters = object(buys, `"item"`)
	case Update:
		tool.Description = "Apply a claimed coupon to a checkout. Returns the new total in minor units."
		tool.Parameters = object(checkoutArgument+","+couponArgument, `"checkout","coupon"`)
	case Complete:
		tool.Description = "Pay a checkout, once the user has agreed to its total. Returns the order's id."
		tool.Parameters = object(checkoutArgument, `"checkout"`)
		if !t.Checkout.offers(Create) {
			tool.Description = "Order an item and pay it, once the user has agreed. Returns the order's id."
			tool.Parameters = object(buys, `"item"`)
		}
	}
	return tool
}
