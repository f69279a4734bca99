package storefront

import "strconv"

// resolve finds what is wanted in the catalogue, or says what is missing.
func resolve(w *write, books ledger) ([]line, *note, error) {
	found := make([]line, len(w.lines))
	for i, want := range w.lines {
		place := find(want.id)
		if place < 0 {
			return nil, missing("item_unavailable", i, "there is no item with this id"), nil
		}
		found[i] = line{Item: place, Quantity: want.quantity}
		if catalogue[place].kind == bill {
			found[i].Owed = price(place, w.user)
		}
	}
	gone, err := short(found, w.user, books)
	return found, gone, err
}

// short says what of the lines can't be sold to the user any more; nil if all can.
func short(lines []line, user string, books ledger) (*note, error) {
	wanted := map[int]int64{} // lines may repeat an item
	for i, l := range lines {
		kind := catalogue[l.Item].kind
		if kind == goods {
			continue
		}
		wanted[l.Item] += l.Quantity
		left, err := books.left(l.Item, user)
		switch {
		case err != nil:
			return nil, err
		case wanted[l.Item] <= left:
		case kind == bill:
			return missing("item_unavailable", i, "the bill is paid once, and "+strconv.FormatInt(left, 10)+" of it is left to pay"), nil
		default:
			return missing("out_of_stock", i, strconv.FormatInt(max(0, left), 10)+" are left"), nil
		}
	}
	return nil, nil
}

// missing notes that the line at a place can't be sold.
func missing(code string, place int, content string) *note {
	return &note{Code: code, Path: "$.line_items[" + strconv.Itoa(place) + "]", Content: content, Severity: "recoverable"}
}
