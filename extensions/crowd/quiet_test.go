package crowd

import (
	"net"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
)

// quiet returns a connection on which nothing is ever said.
func quiet() *wire.Conn {
	target, err := wire.NewTarget(wire.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		panic(err)
	}
	ours, _ := net.Pipe()
	return wire.New(ours, target)
}
