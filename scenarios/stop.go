package scenarios

// A Stop is how load ends. It is sticky and only ever grows.
type Stop uint8

const (
	Go    Stop = iota // no stop: launch what is due
	Drain             // launch nothing more, let those in flight finish
	Cut               // cancel those in flight too
	Done              // everything has ended: leave
)

var stopNames = [...]string{"go", "drain", "cut", "done"}

// String returns the stop's name.
func (s Stop) String() string {
	if int(s) < len(stopNames) {
		return stopNames[s]
	}
	return "stop"
}
