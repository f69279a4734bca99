package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version returns the module's version, and the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += " " + s.Value[:12]
		}
	}
	return v
}

func versionCommand(w world) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and that of the k6 inside",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			k6 := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, d := range info.Deps {
					if d.Path == "go.k6.io/k6/v2" {
						k6 = d.Version
					}
				}
			}
			fmt.Fprintf(w.Out, "flashcrowd %s (k6 %s, %s %s/%s)\n", version(), k6, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
