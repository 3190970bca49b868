package main

import (
	"runtime/debug"
	"testing"
)

// A build that nobody stamped tells what Go knows of it.
func TestVersionOfABuildThatWasNotStamped(t *testing.T) {
	for _, c := range []struct {
		info            debug.BuildInfo
		version, commit string
	}{
		{debug.BuildInfo{Main: debug.Module{Version: "v1.4.2"}}, "1.4.2", "unknown"},
		{debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "0.0.0-dev", "unknown"},
		{debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20261201-abc"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}}}, "0.0.0-20261201-abc", "0123456789ab"},
		{debug.BuildInfo{}, "0.0.0-dev", "unknown"},
	} {
		if v, r := built(&c.info, "0.0.0-dev", "unknown"); v != c.version || r != c.commit {
			t.Errorf("%+v: %s %s", c.info, v, r)
		}
	}
}
