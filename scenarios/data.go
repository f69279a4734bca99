package scenarios

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
)

// A Feed is a file whose rows are given out to shoppers. The first row is for
// shopper 0 of the crowd, the next for shopper 1, and so on: any worker knows
// which row is whose.
type Feed struct {
	File   string   `json:"file"`             // a plain name: .csv, .ndjson or .jsonl
	Use    string   `json:"use"`              // Once or Again
	Secret []string `json:"secret,omitempty"` // columns that are never shown
}

// How rows are used.
const (
	Once  = "once"  // there are at least as many as shoppers
	Again = "again" // after the last comes the first
)

// Feeds lists what a campaign can have files of, and what one row of it is
// called in placeholders.
func Feeds() [][2]string {
	return [][2]string{{"users", "user"}, {"items", "item"}, {"addresses", "address"}}
}

// A Pin says which file a plan was made with.
type Pin struct {
	SHA256 string `json:"sha256"` // of the file, 64 hexadecimal digits
	Rows   uint64 `json:"rows"`
}

// data are the open files of a plan.
type data struct {
	sheets  map[string]*sheet // by feed
	words   *rowFile          // conversations; may be nil
	userIDs bool              // users may have an id
	told    sync.Once
	broken  func(error)
}

// column splits the name of a placeholder such as user.token. Feed is empty if
// it is none of a row.
func column(placeholder string) (feed, name string) {
	row, name, _ := strings.Cut(placeholder, ".")
	for _, f := range Feeds() {
		if f[1] == row {
			return f[0], name
		}
	}
	return "", ""
}

// rowNames lists, as placeholders, what the feeds of a campaign give.
func (c *Campaign) rowNames() (names []string) {
	for _, f := range Feeds() {
		if _, ok := c.Data[f[0]]; ok {
			names = append(names, f[1]+".COLUMN")
		}
	}
	return names
}

// isKnown says whether a placeholder is among the known ones.
func isKnown(placeholder string, known []string) bool {
	row, name, _ := strings.Cut(placeholder, ".")
	return slices.Contains(known, placeholder) || isColumn(name) && slices.Contains(known, row+".COLUMN")
}

// isColumn says whether a column can be asked for by that name; a file may
// have others.
func isColumn(s string) bool { return len(s) <= 40 && isVariable(strings.ReplaceAll(s, "-", "_")) }

// feeds reads the files that a campaign names.
func (r *reader) feeds(f field) map[string]Feed {
	var feeds map[string]Feed
	var known []string
	for _, f := range Feeds() {
		known = append(known, f[0])
	}
	fields := r.mapping(f, known...)
	for _, name := range known {
		if fields[name].node == nil {
			continue
		}
		feed := Feed{Use: Again}
		if name == "users" {
			feed.Use = Once
		}
		keys := r.mapping(fields[name], "file", "use", "secret")
		r.text(keys["file"], &feed.File)
		r.text(keys["use"], &feed.Use)
		for _, item := range r.items(keys["secret"]) {
			var column string
			r.text(item, &column)
			feed.Secret = append(feed.Secret, column)
		}
		set(&feeds, name, feed)
	}
	return feeds
}

func (k *checker) feeds(feeds map[string]Feed) {
	for _, name := range slices.Sorted(maps.Keys(feeds)) {
		at, f := "data."+name, feeds[name]
		if !slices.ContainsFunc(Feeds(), func(f [2]string) bool { return f[0] == name }) {
			k.fault(at, "", "is nothing that shoppers have") // from a file it would be an unknown key
		}
		k.file(at+".file", f.File, sheetEndings)
		if f.Use != Once && f.Use != Again {
			k.fault(at+".use", "once or again", "%q is not how rows are used", clip(f.Use, 40))
		}
		for i, column := range f.Secret {
			if !isColumn(column) || i > maxTaken {
				k.fault(fmt.Sprintf("%s.secret[%d]", at, i), "", "must be the name of a column, of letters, digits, _ and -")
			}
		}
	}
}

// file checks the name of a file: only that, so that a plan can't make a worker
// read what is not in the folder that it was given.
func (k *checker) file(path, name string, endings []string) {
	switch {
	case name == "":
		k.fault(path, "", "is missing")
	case len(name) > 100 || strings.HasPrefix(name, ".") || strings.ContainsAny(name, `/\:`) || strings.ContainsFunc(name, isControl):
		k.fault(path, "it is looked for beside the campaign, or in --data DIR", "%q must be the plain name of a file, without a folder", clip(name, 60))
	case !slices.ContainsFunc(endings, func(end string) bool { return strings.HasSuffix(name, end) }):
		k.fault(path, "", "%q must end in %s", clip(name, 60), strings.Join(endings, ", "))
	}
}

// needs returns the columns of a feed that the campaign asks for, sorted.
func (c *Campaign) needs(feed string) []string {
	needed := slices.Clone(c.Data[feed].Secret)
	if feed == "items" {
		needed = append(needed, "id")
	}
	for _, template := range c.Target.templates() {
		pieces, _ := Pieces(template) // checked
		for _, p := range pieces {
			if f, name := column(p.Name); f == feed {
				needed = append(needed, name)
			}
		}
	}
	slices.Sort(needed)
	return slices.Compact(needed)
}

// requests returns every request that the campaign describes.
func (t *Target) requests() (all []Request) {
	for _, o := range t.Login.operations() {
		all = append(all, o.Request)
	}
	for _, e := range []Endpoint{t.Chat, t.Coupons, t.Checkout} {
		for _, o := range e.Operations {
			if all = append(all, o.Request); o.Poll != nil {
				all = append(all, o.Poll.Request)
			}
		}
	}
	return all
}

// headers returns the text of every header.
func (t *Target) headers() []string {
	all := slices.Collect(maps.Values(t.Headers))
	for _, r := range t.requests() {
		all = slices.AppendSeq(all, maps.Values(r.Headers))
	}
	return all
}

// templates returns every text that may hold a placeholder.
func (t *Target) templates() []string {
	all := t.headers()
	for _, r := range t.requests() {
		all = append(all, r.Path, r.Body)
	}
	return all
}

// files lists the plan's files, by what they are for.
func (c *Campaign) files() map[string]string {
	files := map[string]string{}
	for name, feed := range c.Data {
		files[name] = feed.File
	}
	if name := c.Crowd.Words.File; name != "" {
		files["words"] = name
	}
	return files
}

// Pin opens the files of the campaign in a folder and notes in the plan which
// they are. It is an error when one can't be used as the campaign says. A plan
// without files needs no Pin, and any folder will do.
func (p *Plan) Pin(dir string) error {
	if err := p.open(dir); err != nil || p.data == nil {
		return err
	}
	p.Pins = p.data.pins()
	return nil
}

// Attach opens the files of a decoded plan in a folder, so that its shoppers
// have their rows. Files that are not the ones the plan was made with are
// refused. When one can't be read any more later, or changes, broken is told,
// once, and what is read is empty.
func (p *Plan) Attach(dir string, broken func(error)) error {
	if err := p.open(dir); err != nil || p.data == nil {
		return err
	}
	have := p.data.pins()
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if p.Pins[name] != have[name] {
			err := fmt.Errorf("%s: %s here is another file than the plan was made with: SHA-256 %s (%d rows), not %s (%d rows)\nhint: copy the one from there",
				name, p.Campaign.files()[name], have[name].SHA256, have[name].Rows, cmp.Or(p.Pins[name].SHA256, "unknown"), p.Pins[name].Rows)
			return errors.Join(err, p.Detach())
		}
	}
	p.data.broken = broken
	return nil
}

// Detach closes the files. It is for a plan that nobody uses any more.
func (p *Plan) Detach() error {
	if p.data == nil {
		return nil
	}
	var faults []error
	for _, t := range p.data.sheets {
		faults = append(faults, t.file.Close())
	}
	if w := p.data.words; w != nil {
		faults = append(faults, w.file.Close())
	}
	p.data = nil
	return errors.Join(faults...)
}

// open opens and checks the files. It sets data if the plan has any.
func (p *Plan) open(dir string) error {
	c := p.Campaign
	if len(c.files()) == 0 {
		return nil
	}
	if dir == "" {
		return errors.New("the campaign reads files, and nothing says where they are\nhint: --data DIR")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the folder of the campaign's files: %w", err)
	}
	defer root.Close() // open files stay open
	d := &data{sheets: map[string]*sheet{}}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c.Data)) {
		t, err := openSheet(root, c.Data[name].File, c.needs(name))
		if err != nil {
			faults = append(faults, fmt.Errorf("data.%s: %w", name, err))
			continue
		}
		d.sheets[name] = t
		if c.Data[name].Use == Once && t.count < p.Shoppers {
			faults = append(faults, fmt.Errorf("data.%s: %s has %d rows and %d shoppers come: %d are missing\nhint: a smaller --scale, or use: again, which goes on from the first row",
				name, c.Data[name].File, t.count, p.Shoppers, p.Shoppers-t.count))
		}
	}
	if name := c.Crowd.Words.File; name != "" {
		if d.words, err = openConversations(root, name); err != nil {
			faults = append(faults, fmt.Errorf("crowd.words: %w", err))
		}
	}
	users := d.sheets["users"]
	d.userIDs = users != nil && (users.columns == nil || slices.Contains(users.columns, "id"))
	p.data = d
	if len(faults) > 0 {
		p.Detach() // only read
		return errors.Join(faults...)
	}
	return nil
}

func (d *data) pins() map[string]Pin {
	pins := map[string]Pin{}
	for name, t := range d.sheets {
		pins[name] = t.pin()
	}
	if d.words != nil {
		pins["words"] = d.words.pin()
	}
	return pins
}

func (f *rowFile) pin() Pin { return Pin{hex.EncodeToString(f.sum[:]), f.count} }

// fail tells of a file that can't be read any more.
func (d *data) fail(err error) {
	d.told.Do(func() {
		if d.broken != nil {
			d.broken(fmt.Errorf("read the campaign's data: %w", err))
		}
	})
}

// data returns the open files of the shopper's plan, or nil.
func (s Shopper) data() *data {
	if s.plan == nil {
		return nil
	}
	return s.plan.data
}

// row returns what a column of the shopper's row of a feed holds. It is empty
// where the plan has no such file, or none is attached.
func (s Shopper) row(feed, column string) string {
	d := s.data()
	if d == nil || d.sheets[feed] == nil {
		return ""
	}
	t := d.sheets[feed]
	value, err := t.value((uint64(s.ID.Number)*Slots+uint64(s.ID.Slot))%t.count, column)
	if err != nil {
		d.fail(err)
	}
	return value
}

// Value returns what a placeholder stands for that is the shopper's for good:
// its id, its user id, or a column of one of its rows. It is empty for others.
func (s Shopper) Value(placeholder string) string {
	switch placeholder {
	case "shopper.id":
		return s.ID.String()
	case "shopper.user":
		return s.UserID()
	}
	if feed, name := column(placeholder); feed != "" {
		return s.row(feed, name)
	}
	return ""
}

// Secrets returns the values of the shopper's rows that nobody may see: those
// of the columns that are marked so, and all that headers are made of.
func (s Shopper) Secrets() []string {
	if s.data() == nil {
		return nil
	}
	var values []string
	for _, placeholder := range s.plan.hidden() {
		if v := s.Value(placeholder); v != "" {
			values = append(values, v)
		}
	}
	return values
}

// hidden lists the placeholders whose values are secret.
func (p *Plan) hidden() []string {
	var hidden []string
	for _, f := range Feeds() {
		for _, name := range p.Campaign.Data[f[0]].Secret {
			hidden = append(hidden, f[1]+"."+name)
		}
	}
	for _, template := range p.Target.headers() {
		pieces, _ := Pieces(template) // checked
		for _, piece := range pieces {
			if feed, _ := column(piece.Name); feed != "" {
				hidden = append(hidden, piece.Name)
			}
		}
	}
	return hidden
}
