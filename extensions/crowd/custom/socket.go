package custom

import (
	"errors"

	"github.com/flashcrowd/flashcrowd/extensions/crowd"
	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// talk carries out a turn over a socket, which it opens if the connection is
// none yet. A turn that fails is the socket's last: what the backend may still
// say would be taken for the answer to the next.
func (h *HTTP) talk(o *operation, c *wire.Conn, s *crowd.Shopper, step scenarios.Step, req *wire.Request, said []byte) scenarios.Result {
	var message []byte
	if len(req.Body) > 0 {
		message, req.Body = req.Body[0], nil
	}
	t := telling{step: &step}
	resp := c.Answer()
	if !c.Socket() {
		var err error
		if resp, err = c.Upgrade(req, step.Key); err != nil {
			return lost(err)
		}
		host, prefix := c.Target()
		remember(s, resp, host, prefix+req.Path)
		if resp.Status != 101 {
			r := h.told(o, &t, o.whole(&t, resp), resp, s, said)
			if resp.Status > 299 {
				r.Status = resp.Status
			}
			return r
		}
	}
	err := c.Send(message, req.First, req.Deadline)
	if err == nil {
		err = o.stream(&t, resp, c.Receive)
	}
	var closed *wire.Closed
	if errors.As(err, &closed) {
		t.decide(hungUp(closed.Code, !t.FirstToken.IsZero()), closed.Error())
		err = nil
	}
	r := h.told(o, &t, err, resp, s, said)
	if r.Outcome != results.OK && r.Outcome != results.Refused {
		c.Spend()
	}
	return r
}

// hungUp says what it means that a socket was closed with a code (RFC 6455, 7.4,
// and the registry that it opens) before the answer was whole.
func hungUp(code int, begun bool) results.Outcome {
	switch {
	case code == 1008: // policy violation: the nearest that there is to a no
		return results.Rejected
	case code == 1011 || code == 1012 || code == 1013 || code == 1014: // internal error, restart, try again later, bad gateway
		if begun {
			return results.ErrorInStream
		}
		return results.Unavailable
	case code == 1000 || code == 1001 || code == 1005: // normal, going away, no code
		return results.Truncated
	case code == 1002 || code == 1003 || code == 1007 || code == 1009 || code == 1010: // what it says we did wrong
		return results.Malformed
	}
	return results.Unclassified
}
