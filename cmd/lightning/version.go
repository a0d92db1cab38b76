package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/ui"
)

// version is that of the next release; CHANGELOG.md says what is in it.
const version = "0.1.0-dev"

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			rev := revision()
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if a.output != "" {
				return a.object(ui.Object{
					{Name: "version", Value: version}, {Name: "revision", Value: rev}, {Name: "go", Value: runtime.Version()}, {Name: "platform", Value: platform},
				}, [][2]string{
					{"version", version}, {"revision", rev}, {"go", runtime.Version()}, {"platform", platform},
				})
			}
			text := "lightning " + version
			if rev != "" {
				text += " (" + rev + ")"
			}
			_, err := fmt.Fprintf(a.out, "%s %s %s\n", text, runtime.Version(), platform)
			return err
		},
	}
}

// revision is the commit that the program was built from, where go build
// recorded it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return ""
}
