package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/flashcrowd/flashcrowd/extensions/crowd/wire"
	"github.com/flashcrowd/flashcrowd/results"
	"github.com/flashcrowd/flashcrowd/scenarios"
)

// planFlags turn a campaign into a plan; every command that takes a campaign
// has them.
type planFlags struct {
	scale, demand, compress, pace string
	seed                          uint64
	target                        string
	allow                         []string
	data                          string
	flags                         *pflag.FlagSet
}

func (f *planFlags) add(flags *pflag.FlagSet) {
	f.flags = flags
	flags.StringVar(&f.scale, "scale", "", "thin the crowd: 1/1000 or 0.001 (default: the campaign's)")
	flags.StringVar(&f.demand, "demand", "", "multiply the crowd: 2 doubles it (default: the campaign's)")
	flags.StringVar(&f.compress, "compress", "", "speed the stages up: 60 makes an hour a minute (default: the campaign's)")
	flags.StringVar(&f.pace, "pace", "", "shorten think times, patience and back-off: 0.1 (default: the campaign's)")
	flags.Uint64Var(&f.seed, "seed", 0, "draw another crowd (default: the campaign's seed)")
	flags.StringVar(&f.target, "target", "", "backend to shop at, a URL (default: the campaign's, else the built-in storefront)")
	flags.StringVar(&f.data, "data", "", "folder of the files that the campaign names (default: the campaign's own)")
	flags.StringSliceVar(&f.allow, "allow", nil, "address or prefix that may be loaded, such as 192.0.2.10 or 192.0.2.0/24 (default: loopback only)")
}

// plan loads the campaign and expands it. Faults are the user's: usage errors.
func (f *planFlags) plan(nameOrPath string) (*scenarios.Plan, error) {
	campaign, err := scenarios.Load(nameOrPath)
	if err != nil {
		return nil, usage(err)
	}
	if f.flags.Changed("seed") {
		campaign = campaign.Reseeded(f.seed)
	}
	var factors results.Factors
	for _, flag := range []struct {
		name, text string
		to         *float64
	}{
		{"scale", f.scale, &factors.Scale}, {"demand", f.demand, &factors.Demand},
		{"compress", f.compress, &factors.Compress}, {"pace", f.pace, &factors.Pace},
	} {
		if flag.text == "" {
			continue
		}
		if *flag.to, err = scenarios.ParseFactor(flag.text); err != nil {
			return nil, usage(fmt.Errorf("--%s: %w", flag.name, err))
		}
		if *flag.to <= 0 {
			return nil, usage(fmt.Errorf("--%s %s: a factor is greater than 0", flag.name, flag.text))
		}
	}
	plan, err := campaign.Plan(factors)
	if err != nil {
		return nil, usage(err)
	}
	if f.data == "" {
		f.data = campaign.Dir
	}
	if err := plan.Pin(f.data); err != nil {
		return nil, usage(err)
	}
	if f.target != "" {
		plan.Target.URL = f.target
	}
	allowed, err := wire.ParseAllowed(f.allow)
	if err != nil {
		return nil, usage(fmt.Errorf("--%w", err))
	}
	if plan.Target.URL != "" {
		if err := f.permit(plan.Target, allowed); err != nil {
			return nil, usage(err)
		}
	}
	return plan, nil
}

// given is the campaign and the flags that were given, as store.Header keeps
// them: what says where output goes is left out, and so is what a URL holds
// besides its address.
func (f *planFlags) given(nameOrPath string) []string {
	args := []string{nameOrPath}
	f.flags.Visit(func(flag *pflag.Flag) {
		switch value := flag.Value.String(); flag.Name {
		case "json", "runs", "verbose":
		case "target":
			args = append(args, "--target="+redactURL(value))
		case "allow", "bug", "shop":
			args = append(args, "--"+flag.Name+"="+strings.Trim(value, "[]"))
		default:
			args = append(args, "--"+flag.Name+"="+value)
		}
	})
	return args
}

// permit refuses a target beyond loopback that the command line does not allow
// by name or address. It is the early, friendly word: workers check every
// address that they dial. Of what the environment fills in it needs the URL's
// alone: the rest is for who fires, and may be known nowhere else.
func (f *planFlags) permit(target scenarios.Target, allowed wire.Allowed) error {
	target, err := scenarios.Target{URL: target.URL}.Resolve(os.LookupEnv)
	if err != nil {
		return err
	}
	if _, err := wire.NewTarget(wire.Config{URL: target.URL}); err != nil {
		return fmt.Errorf("%w\nhint: --target http://host:port/path", err)
	}
	u, err := url.Parse(target.URL)
	if err != nil {
		return errors.New("read the target: it is no URL") // without it: it may hold a secret
	}
	addr, err := netip.ParseAddr(u.Hostname())
	switch {
	case err == nil && allowed.Permits(addr), err != nil && len(f.allow) > 0, u.Hostname() == "localhost":
		return nil // every dial is checked again, on the address that a name resolves to
	}
	return fmt.Errorf("the target %s is beyond loopback, and nothing allows it\nhint: if it is yours to load, say so: --allow ADDRESS (an address or prefix; every dial is checked against it)", u.Host)
}

// redactURL is a target as reports may show it: without user, query or
// anything that the environment fills in.
func redactURL(target string) string {
	if strings.Contains(target, "${") {
		return target // the name of the secret, not its value
	}
	u, err := url.Parse(target)
	if err != nil {
		return "(not a URL)"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
