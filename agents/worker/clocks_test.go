package worker

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flashcrowd/flashcrowd/results"
)

func TestClocksThatMisbehave(t *testing.T) {
	const hour = 3_600_000
	for _, tt := range []struct {
		name             string
		boot, mono, wall int // ms that passed, by each
		want             []results.Upset
	}{
		{"nothing happens", 50, 50, 50, nil},
		{"NTP slews", 1000, 1000, 1001, nil},
		{"a busy machine", 900, 900, 900, nil},
		{"stopped", 30_000, 30_000, 30_000, []results.Upset{{Kind: results.Frozen, Size: ms(30_000)}}},
		{"suspended", hour, 40, hour, []results.Upset{{Kind: results.Suspended, Size: ms(hour - 40)}}},
		{"set forward", 50, 50, 2050, []results.Upset{{Kind: results.Stepped, Size: ms(2000)}}},
		{"set back", 50, 50, -hour, []results.Upset{{Kind: results.Stepped, Size: ms(-hour - 50)}}},
		{"suspended, and set when it woke up", hour, 2000, hour + 300, []results.Upset{
			{Kind: results.Suspended, Size: ms(hour - 2000)}, {Kind: results.Frozen, Size: ms(2000)}, {Kind: results.Stepped, Size: ms(300)},
		}},
	} {
		c := &Clocks{}
		c.See(Reading{Boot: at(0), Mono: ms(7), Wall: ms(99)})
		c.See(Reading{Boot: at(tt.boot), Mono: ms(7 + tt.mono), Wall: ms(99 + tt.wall)})
		for i := range tt.want {
			tt.want[i].At = ms(tt.boot)
		}
		if got := c.next(0, begin); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestClocksKeepSoMuch(t *testing.T) {
	c := &Clocks{}
	for i := range 3 * results.MaxUpsets {
		c.See(Reading{Boot: at(i * 2000), Mono: at(i * 2000), Wall: at(i * 2000)})
	}
	if len(c.all) != results.MaxUpsets {
		t.Errorf("%d upsets are kept", len(c.all))
	}
}

// The clocks of this machine are in order, looked at often enough.
func TestClocksOfThisMachine(t *testing.T) {
	c := NewClocks()
	for range 100 {
		c.Look()
	}
	if c.last.Boot == 0 || c.last.Wall == 0 || len(c.all) > 0 {
		t.Errorf("%+v: %v", c.last, c.all)
	}
	synctest.Test(t, func(t *testing.T) { // a bubble's clock jumps, the boot clock does not
		c := NewClocks()
		c.Look()
		time.Sleep(time.Minute)
		c.Look()
		if len(c.all) == 0 {
			t.Error("a minute without a look is not noticed")
		}
	})
}
