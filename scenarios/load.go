package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

//go:embed campaigns/*.yaml
var campaigns embed.FS

// Load returns the campaign of that name or path: a path when it has a
// separator, ends in .yaml or .yml, or is a file that exists; else the name of
// an embedded campaign. A campaign with faults gives Faults.
func Load(nameOrPath string) (*Campaign, error) {
	if !isPath(nameOrPath) {
		src, err := campaigns.ReadFile("campaigns/" + nameOrPath + ".yaml")
		if err != nil {
			return nil, unknownCampaign(nameOrPath)
		}
		return Parse(nameOrPath+".yaml", src)
	}
	f, err := os.Open(nameOrPath)
	if err != nil {
		return nil, fmt.Errorf("load campaign: %w", err)
	}
	defer f.Close() // only read
	src, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("load campaign: %w", err)
	}
	c, err := parseWith(nameOrPath, src, beside(filepath.Dir(nameOrPath)))
	if err == nil {
		c.Dir = filepath.Dir(nameOrPath)
	}
	return c, err
}

func isPath(s string) bool {
	if strings.ContainsAny(s, `/\`) {
		return true
	}
	if ext := filepath.Ext(s); ext == ".yaml" || ext == ".yml" {
		return true
	}
	info, err := os.Stat(s)
	return err == nil && !info.IsDir()
}

// Embedded lists the campaigns that come with the program, by name.
func Embedded() []string {
	entries, err := campaigns.ReadDir("campaigns")
	if err != nil {
		panic("read the embedded campaigns: " + err.Error()) // compiled in
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

func unknownCampaign(name string) error {
	if name == "" {
		return errors.New("load campaign: no name given\nhint: embedded are " + strings.Join(Embedded(), ", "))
	}
	hint := "embedded are " + strings.Join(Embedded(), ", ") + "; a file's name ends in .yaml"
	if near := Nearest(name, Embedded()); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("load campaign: there is no campaign %q\nhint: %s", clip(name, 60), hint)
}
