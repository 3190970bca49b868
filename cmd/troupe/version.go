package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Stamped by the Makefile with -ldflags -X. Other builds know what Go writes into them: go install of a version that, go build in a
// repository its revision.
var (
	version = "0.0.0-dev"
	commit  = "unknown"
)

func init() {
	if info, ok := debug.ReadBuildInfo(); ok && commit == "unknown" {
		version, commit = built(info, version, commit)
	}
}

// built is the version and the revision that Go knows of a build, or the ones given.
func built(info *debug.BuildInfo, version, commit string) (string, string) {
	if v, ok := strings.CutPrefix(info.Main.Version, "v"); ok {
		version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value[:min(len(s.Value), 12)]
		}
	}
	return version, commit
}

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
