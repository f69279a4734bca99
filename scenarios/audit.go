package scenarios

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/results/books"
)

// maxQuery is the longest query of an audit, in bytes.
const maxQuery = 16 << 10

// sourceKeys are those of a table in each source.
func sourceKeys(source string) []string {
	switch source {
	case books.Postgres, books.SQLite:
		return []string{"query", "columns"}
	case books.Files:
		return []string{"file", "columns"}
	case books.HTTP:
		return []string{"path", "rows", "next", "columns"}
	}
	return nil
}

// audit reads where the backend's books are.
func (r *reader) audit(f field) *books.Mapping {
	if f.node == nil {
		return nil
	}
	m := &books.Mapping{Timeout: books.DefaultTimeout}
	keys := r.mapping(f, append([]string{"source", "url", "file", "headers", "timeout", "currency", "decimals", "zone", "format", "outside"}, books.Tables()...)...)
	r.text(keys["source"], &m.Source)
	r.text(keys["url"], &m.URL)
	r.text(keys["file"], &m.File)
	r.texts(keys["headers"], &m.Headers)
	r.duration(keys["timeout"], &m.Timeout)
	r.text(keys["currency"], &m.Currency)
	var decimals uint64
	r.count(keys["decimals"], &decimals)
	m.Decimals = int(min(decimals, 99))
	r.text(keys["zone"], &m.Zone)
	r.text(keys["format"], &m.Format)
	r.text(keys["outside"], &m.Outside)
	if m.Outside == "refuse" {
		m.Outside = ""
	}
	for _, table := range books.Tables() {
		known := []string{"query", "file", "path", "rows", "next", "columns"}
		if table == "orders" {
			known = append(known, "void")
		}
		t := m.Table(table)
		keys := r.mapping(keys[table], known...)
		r.text(keys["query"], &t.Query)
		r.text(keys["file"], &t.File)
		r.text(keys["path"], &t.Path)
		r.text(keys["rows"], &t.Rows)
		next := r.mapping(keys["next"], "by", "path", "parameter")
		r.text(next["by"], &t.Next.By)
		r.text(next["path"], &t.Next.Path)
		r.text(next["parameter"], &t.Next.Parameter)
		columns := r.mapping(keys["columns"], fieldsOf(table)...)
		for _, name := range fieldsOf(table) {
			var column string
			if r.text(columns[name], &column); column != "" {
				set(&t.Columns, name, column)
			}
		}
		for _, item := range r.items(keys["void"]) {
			var value string
			r.text(item, &value)
			t.Void = append(t.Void, value)
		}
	}
	return m
}

// fieldsOf lists what the columns of a table can be.
func fieldsOf(table string) (names []string) {
	for _, f := range books.Fields(table) {
		names = append(names, f.Name)
	}
	return names
}

// audit checks where the backend's books are.
func (k *checker) audit(m *books.Mapping) {
	if m == nil {
		return
	}
	if !slices.Contains(books.Sources(), m.Source) {
		if m.Source == "" {
			k.fault("audit.source", "known: "+strings.Join(books.Sources(), ", "), "is missing")
		} else {
			k.fault("audit.source", didYouMean(m.Source, books.Sources()), "there is no source %q", clip(m.Source, 60))
		}
		return
	}
	k.booksAddress(m)
	if m.Timeout < time.Second || m.Timeout > time.Hour {
		k.fault("audit.timeout", "", "must be between 1s and 1h")
	}
	if c := m.Currency; c != "" && !isCurrency(c) {
		k.fault("audit.currency", "CNY", "%q is not three capital letters", clip(c, 60))
	}
	if m.Decimals < 0 || m.Decimals > 6 {
		k.fault("audit.decimals", "2 for 9.00", "must be between 0 and 6")
	}
	if m.Zone != "" {
		if _, err := books.ParseZone(m.Zone); err != nil {
			k.fault("audit.zone", "+08:00, or Asia/Shanghai", "%q is not a time zone", clip(m.Zone, 60))
		}
	}
	if books.ParseFormat(m.Format) != nil {
		k.fault("audit.format", strings.Join(books.Formats(), ", ")+`, or as "2006-01-02 15:04:05" is written`, "%q is not a format of times", clip(m.Format, 60))
	}
	if m.Outside != "" && m.Outside != books.Skip {
		k.fault("audit.outside", "refuse or skip", "%q is not what becomes of rows from outside the run", clip(m.Outside, 60))
	}
	given := false
	for _, table := range books.Tables() {
		k.table("audit."+table, m, m.Table(table))
		given = given || m.Table(table).Given()
	}
	if m.Source != books.Storefront && !given {
		k.fault("audit.orders", "a source other than the storefront says where its rows are", "is missing")
	}
}

// booksAddress checks what an audit's source is called.
func (k *checker) booksAddress(m *books.Mapping) {
	const at = "audit.url"
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		k.header("audit.headers."+name, name, m.Headers[name])
	}
	if len(m.Headers) > 0 && m.Source != books.HTTP {
		k.fault("audit.headers", "", "are for the source http")
	}
	if m.Source == books.SQLite {
		k.file("audit.file", m.File, []string{".db", ".sqlite", ".sqlite3"})
	} else if m.File != "" {
		k.fault("audit.file", "", "is for the source sqlite; of files, each table has its own")
	}
	if !k.secrets(at, m.URL) {
		return
	}
	switch m.Source {
	case books.SQLite, books.Files:
		if m.URL != "" {
			k.fault(at, "", "is not for the source %s", m.Source)
		}
	case books.Postgres:
		const unknown = "SECRET" // what the environment has
		text, _ := resolve(m.URL, func(string) (string, bool) { return unknown, true })
		u, err := url.Parse(text)
		switch {
		case m.URL == "":
			k.fault(at, `"${BOOKS}", and export BOOKS=postgres://user:password@host/database`, "is missing")
		case text == unknown:
		case err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql":
			k.fault(at, "postgres://user@host/database", "must be a postgres URL")
		default:
			if word, secret := u.User.Password(); secret && word != unknown || u.Query().Has("password") && u.Query().Get("password") != unknown {
				k.fault(at, `"${BOOKS}"`, "must not hold a password")
			}
		}
	case books.HTTP, books.Storefront:
		if m.URL == "" && m.Source == books.HTTP {
			k.fault(at, "http://127.0.0.1:8080", "is missing")
		}
		k.address(at, m.URL)
	}
}

// table checks one table of an audit's source.
func (k *checker) table(at string, m *books.Mapping, t *books.Table) {
	has := map[string]bool{
		"query": t.Query != "", "file": t.File != "", "path": t.Path != "", "rows": t.Rows != "",
		"next": t.Next != books.Next{}, "columns": len(t.Columns) > 0,
	}
	known, odd := sourceKeys(m.Source), false
	for _, key := range slices.Sorted(maps.Keys(has)) {
		if has[key] && !slices.Contains(known, key) {
			odd = true
			k.fault(at+"."+key, "", "is not for the source %s", m.Source)
		}
	}
	if odd || len(known) == 0 {
		return
	}
	if !t.Given() {
		if has["columns"] || has["rows"] || has["next"] {
			k.fault(at+"."+known[0], "", "is missing")
		}
		return
	}
	if len(t.Query) > maxQuery {
		k.fault(at+".query", "", "must have at most %d bytes", maxQuery)
	}
	if t.File != "" {
		k.file(at+".file", strings.TrimSuffix(t.File, ".gz"), sheetEndings)
	}
	if t.Path != "" && (t.Path[0] != '/' || strings.ContainsFunc(t.Path, func(r rune) bool { return r <= ' ' || r == '#' || r == 0x7f })) {
		k.fault(at+".path", "/admin/orders?limit=500", "%q must begin with /, without spaces and #", clip(t.Path, 60))
	}
	if m.Source == books.HTTP {
		k.next(at+".next", t.Next)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Columns)) {
		if fields := fieldsOf(strings.TrimPrefix(at, "audit.")); !slices.Contains(fields, name) {
			k.key(at+".columns."+name, didYouMean(name, fields), "is nothing that the audit reads")
		}
		if c := t.Columns[name]; len(c) > 200 || strings.ContainsFunc(c, isControl) {
			k.fault(at+".columns."+name, "", "must be one line of at most 200 bytes")
		}
	}
}

// next checks how pages lead on.
func (k *checker) next(at string, n books.Next) {
	if (n == books.Next{}) {
		return
	}
	switch {
	case !slices.Contains(books.Ways(), n.By):
		k.fault(at+".by", "known: "+strings.Join(books.Ways(), ", "), "%q is no way from page to page", clip(n.By, 60))
	case n.By == books.Cursor && n.Path == "":
		k.fault(at+".path", "meta.next_cursor", "is missing: where a page has the cursor")
	case (n.By == books.Offset || n.By == books.Page) && n.Path != "":
		k.fault(at+".path", "", "is for link and cursor")
	case n.By == books.Link && n.Parameter != "":
		k.fault(at+".parameter", "", "is for cursor, offset and page")
	case n.By != books.Link && (n.Parameter == "" || url.QueryEscape(n.Parameter) != n.Parameter):
		k.fault(at+".parameter", "cursor", "must be the name of a parameter")
	}
}

// ResolveAudit returns a mapping with each ${NAME} replaced by what lookup knows
// of it.
func ResolveAudit(m books.Mapping, lookup func(name string) (string, bool)) (books.Mapping, error) {
	var err error
	if m.URL, err = resolve(m.URL, lookup); err != nil {
		return m, fmt.Errorf("resolve the audit's url: %w", err)
	}
	m.Headers = maps.Clone(m.Headers)
	for name, value := range m.Headers {
		if m.Headers[name], err = resolve(value, lookup); err != nil {
			return m, fmt.Errorf("resolve the audit's header %s: %w", name, err)
		}
	}
	return m, nil
}
