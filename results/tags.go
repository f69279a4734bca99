package results

// Dimensions lists the names of the tags, in the order of the fields of Tags.
func Dimensions() []string { return []string{"stage", "step", "outcome", "persona", "journey"} }

// Value returns the tag of that dimension; empty for an unknown one.
func (t Tags) Value(dimension string) string {
	if p := t.field(dimension); p != nil {
		return *p
	}
	return ""
}

// With returns t with the tag of that dimension changed; an unknown dimension
// changes nothing.
func (t Tags) With(dimension, value string) Tags {
	if p := t.field(dimension); p != nil {
		*p = value
	}
	return t
}

// Match reports whether each tag that sel sets is the same in t: an empty
// field of sel matches all.
func (t Tags) Match(sel Tags) bool {
	return match(t.Stage, sel.Stage) && match(t.Step, sel.Step) && match(t.Outcome, sel.Outcome) &&
		match(t.Persona, sel.Persona) && match(t.Journey, sel.Journey)
}

func match(v, sel string) bool { return sel == "" || v == sel }

func (t *Tags) field(dimension string) *string {
	switch dimension {
	case "stage":
		return &t.Stage
	case "step":
		return &t.Step
	case "outcome":
		return &t.Outcome
	case "persona":
		return &t.Persona
	case "journey":
		return &t.Journey
	}
	return nil
}
