package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/ui"
)

// version is that of the next release; CHANGELOG.md says what is in it.
const version = "0.1.0-dev"

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: `  lightning version --json`,
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if a.output != "" {
				return a.object(ui.Object{
					{Name: "version", Value: version}, {Name: "go", Value: runtime.Version()}, {Name: "platform", Value: platform},
				}, [][2]string{
					{"version", version}, {"go", runtime.Version()}, {"platform", platform},
				})
			}
			_, err := fmt.Fprintf(a.out, "lightning %s %s %s\n", version, runtime.Version(), platform)
			return err
		},
	}
}
