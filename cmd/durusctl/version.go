package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "version [--json]",
		Short:                 "The version of this program and of its file format",
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.printJSON(versionJSON{buildVersion(), filestorage.FormatNumber, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
			}
			_, err := fmt.Fprintln(a.out, version())
			return err
		},
	}
}

type versionJSON struct {
	Version  string `json:"version"`
	Format   int    `json:"format"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func version() string {
	return fmt.Sprintf("durusctl %s, file format %d, %s %s/%s", buildVersion(), filestorage.FormatNumber, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildVersion is what the Go tool knows of this build: a tag, or the commit.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
