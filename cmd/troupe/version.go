package main

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"
)

// Stamped by the Makefile with -ldflags -X.
var (
	version = "0.0.0-dev"
	commit  = "unknown"
)

type versionInfo struct {
	Version string `json:"version" doc:"of troupe"`
	Commit  string `json:"commit" doc:"of the source"`
	Go      string `json:"go" doc:"version of the compiler"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func (v versionInfo) table() [][]string {
	return [][]string{{"troupe " + v.Version + " (" + v.Commit + ") " + v.Go + " " + v.OS + "/" + v.Arch}}
}

func (a *app) version() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: argCount(0, 0, "no arguments")}
	return prints(a, cmd, func(context.Context, []string) (versionInfo, error) {
		return versionInfo{version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH}, nil
	})
}
