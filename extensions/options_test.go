package extensions

import (
	"strings"
	"testing"

	"github.com/grafana/sobek"
	"go.k6.io/k6/v2/js/modulestest"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct{ js, fault string }{
		{`({campaign: "smoke"})`, ""},
		{`({campaign: "smoke", target: "http://127.0.0.1:1", allow: ["192.0.2.1"], scale: "1/10", demand: 2, compress: 60, pace: 0.5})`, ""},
		{`undefined`, "needs {campaign"},
		{`({})`, "needs {campaign"},
		{`({campaign: "smoke", scle: 0.1})`, `no option "scle"`},
		{`({campaign: "smoke", scale: "half"})`, "scale"},
		{`({campaign: "smoke", pace: 0})`, "greater than 0"},
		{`({campaign: "smoke", pace: NaN})`, "pace"},
		{`({campaign: "smoke", allow: 7})`, "allow"},
	} {
		rt := sobek.New()
		value, err := rt.RunString(c.js)
		if err != nil {
			t.Fatal(err)
		}
		i := &instance{vu: &modulestest.VU{RuntimeField: rt}}
		o, err := i.options(runName, value)
		switch {
		case c.fault == "" && (err != nil || o.Campaign != "smoke"):
			t.Errorf("%s: %+v, %v", c.js, o, err)
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: %v, want %q", c.js, err, c.fault)
		}
	}
}
