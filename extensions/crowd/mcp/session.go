package mcp

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// spoken are the versions that a server may settle on instead of the one it was
// asked for: a tools/call is the same in all of them.
var spoken = []string{"2025-11-25", "2025-06-18", "2025-03-26"}

// open sends initialize and keeps the session that the server answers with. A
// server may do without an id; then every request says the version alone.
func (m *Client) open(c *wire.Conn, s *crowd.Shopper, step scenarios.Step, deadline time.Time) scenarios.Result {
	id := step.Key.String() + "/open"
	body := `{"jsonrpc":"2.0","id":"` + id + `","method":"initialize","params":{"protocolVersion":"` + m.version +
		`","capabilities":{},"clientInfo":` + clientInfo + `}}`
	message, resp, err := m.exchange(c, &wire.Request{
		Method: "POST", Path: m.path, Header: s.Header, Extra: m.head(crowd.Session{}, step), Body: [][]byte{[]byte(body)}, First: deadline, Deadline: deadline,
	}, id)
	if err != nil {
		return unsent(lost(err))
	}
	result, no := response(resp.Status, message, id)
	if !result.Exists() {
		return unsent(stamped(no, resp))
	}
	version, session := result.Get("protocolVersion").String(), resp.Header("MCP-Session-Id")
	switch {
	case !slices.Contains(spoken, version):
		return unsent(stamped(scenarios.Result{Outcome: results.Rejected, Why: "initialize: the server speaks version " + wire.Clip(strconv.Quote(version))}, resp))
	case !visible(session):
		return unsent(stamped(malformed("initialize: no MCP-Session-Id that could stand in a head"), resp))
	}
	head := "MCP-Protocol-Version: " + version + "\r\n"
	if session != "" {
		head = named + session + "\r\n" + head
	}
	if s.Sessions == nil {
		s.Sessions = make(map[string]crowd.Session, 1)
	}
	s.Sessions[m.path] = crowd.Session{Head: head}
	return more(resp)
}

// named begins the head of a session with an id.
const named = "MCP-Session-Id: "

// ready says that the session is known, which must come before anything else.
func (m *Client) ready(c *wire.Conn, s *crowd.Shopper, step scenarios.Step, session crowd.Session, deadline time.Time) scenarios.Result {
	const body = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	message, resp, err := m.exchange(c, &wire.Request{
		Method: "POST", Path: m.path, Header: s.Header, Extra: m.head(session, step), Body: [][]byte{[]byte(body)}, First: deadline, Deadline: deadline,
	}, "")
	if err != nil {
		return unsent(lost(err))
	}
	if resp.Status < 200 || resp.Status > 299 {
		delete(s.Sessions, m.path)
		_, no := response(resp.Status, message, "")
		return unsent(stamped(no, resp))
	}
	session.Ready = true
	s.Sessions[m.path] = session
	return more(resp)
}

// more is the result of a preparation that went well.
func more(resp *wire.Response) scenarios.Result {
	return scenarios.Result{Outcome: results.Unavailable, Why: "sessions are opened and forgotten", More: true, End: resp.At}
}

// unsent marks the result of a step that failed before its own request was sent.
func unsent(r scenarios.Result) scenarios.Result {
	r.Unsent = true
	return r
}

// Close ends the shopper's session with a DELETE, which a server may ignore.
func (m *Client) Close(c *wire.Conn, s *crowd.Shopper, deadline time.Time) {
	session, ok := s.Sessions[m.path]
	if !ok {
		return
	}
	delete(s.Sessions, m.path)
	if !strings.HasPrefix(session.Head, named) {
		return
	}
	resp, err := c.Do(&wire.Request{Method: "DELETE", Path: m.path, Header: s.Header, Extra: []byte(session.Head), First: deadline, Deadline: deadline})
	if err == nil {
		_ = resp.Drain() // whatever it says, there is nothing more to do
	}
}

// visible says whether a session's id is one that the protocol allows, or empty.
func visible(id string) bool {
	return len(id) <= 1024 && !strings.ContainsFunc(id, func(r rune) bool { return r < 0x21 || r > 0x7e })
}
