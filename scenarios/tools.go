package scenarios

import "strings"

// Tools lists what an assistant may have a shopper's agent do at this target.
func (t *Target) Tools() []Tool {
	var all []Tool
	for _, kind := range t.tools() {
		all = append(all, t.tool(kind))
	}
	return all
}

// toolKinds are the steps that can be tools, in the order in which they are
// offered.
var toolKinds = [...]StepKind{Search, Claim, Create, Update, Complete}

// tools lists the steps that are tools at this target.
func (t *Target) tools() []StepKind {
	var all []StepKind
	for _, kind := range toolKinds {
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

// arguments are the schemas of toolArguments.
var arguments = map[string]string{
	"query":    `{"type":"string","description":"What to look for"}`,
	"item":     `{"type":"string","description":"The item's id"}`,
	"quantity": `{"type":"integer","minimum":1,"maximum":999,"description":"How many; 1 when left out"}`,
	"coupon":   `{"type":"string","description":"A coupon that was claimed"}`,
	"checkout": `{"type":"string","description":"The checkout's id"}`,
}

// tool describes a step to a model. Where a checkout has no update, its coupon
// comes with the item; where it has no create, both come with the completion.
func (t *Target) tool(kind StepKind) Tool {
	buys := []string{"item", "quantity"}
	if t.Coupons.Protocol != "" && !t.Checkout.offers(Update) {
		buys = append(buys, "coupon")
	}
	names := t.calls()
	object := func(required int, own ...string) string { // the first of them are required
		var properties, needed []string
		for i, name := range own {
			quoted := string(marshal(names.named(name)))
			properties = append(properties, quoted+":"+arguments[name])
			if i < required {
				needed = append(needed, quoted)
			}
		}
		return `{"type":"object","properties":{` + strings.Join(properties, ",") + `},"required":[` + strings.Join(needed, ",") + `]}`
	}
	tool := Tool{Name: names.named(kind.String())}
	switch kind {
	case Search:
		tool.Description = "Search what is for sale. Returns items with their ids and prices in minor units."
		tool.Parameters = object(1, "query")
	case Claim:
		tool.Description = "Claim a coupon for the user. Returns its id."
		tool.Parameters = object(0)
	case Create:
		tool.Description = "Open a checkout for an item. Returns the checkout's id and its total in minor units. Nothing is paid yet."
		tool.Parameters = object(1, buys...)
	case Update:
		tool.Description = "Apply a claimed coupon to a checkout. Returns the new total in minor units."
		tool.Parameters = object(2, "checkout", "coupon")
	case Complete:
		tool.Description = "Pay a checkout, once the user has agreed to its total. Returns the order's id."
		tool.Parameters = object(1, "checkout")
		if !t.Checkout.offers(Create) {
			tool.Description = "Order an item and pay it, once the user has agreed. Returns the order's id."
			tool.Parameters = object(1, buys...)
		}
	}
	return tool
}
