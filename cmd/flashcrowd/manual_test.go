package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestManual holds the commands of the READMEs, of the help texts and of the
// report against the program: each must exist, with its flags and as many
// arguments. The first command of the README is run by the pipeline.
func TestManual(t *testing.T) {
	texts := map[string]string{}
	for _, pattern := range []string{"../../README.md", "../../*/README.md", "../../scenarios/scripts/*.js", "../../scenarios/campaigns/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[file] = string(b)
		}
	}
	root := newRoot(world{io.Discard, io.Discard})
	texts["help"] = root.Long + "\n" + root.Example
	for _, c := range root.Commands() {
		texts["help of "+c.Name()] = c.Long + "\n" + c.Example
	}
	found := 0
	command := regexp.MustCompile("(?m)(?:flashcrowd|go run \\./cmd/flashcrowd) ((?:run|try|plan|report|audit|runs|storefront|worker|coordinator|status|stop|keygen|version)\\b[^`\n#;|()]*)")
	for where, text := range texts {
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			line, _, _ := strings.Cut(m[1], "  ") // what follows is prose
			line = strings.TrimSuffix(strings.TrimSpace(line), "\\")
			if err := parses(strings.Fields(line)); err != nil {
				t.Errorf("%s: flashcrowd %s: %v", where, line, err)
			}
			found++
		}
	}
	if found < 20 {
		t.Errorf("%d commands found: the pattern misses some", found)
	}
}

// parses looks the command up and reads its flags and arguments.
func parses(args []string) error {
	for i, a := range args {
		args[i] = strings.Trim(a, `.,:"'&`)
		if args[i] == "" || args[i] == "2>&1" {
			args = args[:i]
			break
		}
	}
	root := newRoot(world{io.Discard, io.Discard})
	c, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if args := c.Flags().Args(); len(args) > 0 || c.Args == nil {
		return c.ValidateArgs(args)
	}
	return nil // prose names a command without its arguments
}
