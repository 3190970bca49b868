package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// savedProfile is a connection: properties of a client.
type savedProfile map[string]string

// entries are the properties in the order of their names.
func (p savedProfile) entries() (out []protocol.ConfigEntry) {
	for _, key := range slices.Sorted(maps.Keys(p)) {
		out = append(out, protocol.ConfigEntry{Key: key, Value: p[key]})
	}
	return out
}

// savedProfiles is the file of connections.
type savedProfiles struct {
	InUse    string                  `yaml:"in_use,omitempty"`
	Profiles map[string]savedProfile `yaml:"profiles"`
}

// profilesPath is where connections are saved: $TROUPE_PROFILES, or troupe/profiles.yaml in the user's configuration directory. Empty if the
// user has none.
func (a *app) profilesPath() string {
	if path := a.getenv("TROUPE_PROFILES"); path != "" {
		return path
	}
	for _, base := range []string{a.getenv("XDG_CONFIG_HOME"), a.getenv("AppData")} {
		if base != "" {
			return filepath.Join(base, "troupe", "profiles.yaml")
		}
	}
	if home := a.getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "troupe", "profiles.yaml")
	}
	return ""
}

// readProfiles reads the saved connections; there are none if there is no file.
func (a *app) readProfiles() (savedProfiles, error) {
	out := savedProfiles{Profiles: map[string]savedProfile{}}
	path := a.profilesPath()
	if path == "" {
		return out, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err == nil {
		err = yaml.Unmarshal(text, &out)
	}
	if err != nil {
		return out, &problem{what: "cannot read the saved connections", why: fmt.Sprintf("%s: %v", path, err), next: "mend or remove that file; $TROUPE_PROFILES names another", exit: exitUsage, cause: err}
	}
	if out.Profiles == nil {
		out.Profiles = map[string]savedProfile{}
	}
	return out, nil
}

// writeProfiles replaces the file at once; nobody but its owner can read it.
func (a *app) writeProfiles(saved savedProfiles) error {
	path := a.profilesPath()
	if path == "" {
		return &problem{what: "cannot save the connection", why: "there is no home directory", next: "TROUPE_PROFILES=FILE says where", exit: exitUsage}
	}
	err := writePrivate(path, saved)
	if err != nil {
		return &problem{what: "cannot save the connection", why: err.Error(), next: "TROUPE_PROFILES=FILE says where else", cause: err}
	}
	return nil
}

func writePrivate(path string, saved savedProfiles) error {
	text, err := yaml.Marshal(saved)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".profiles-*") // readable by its owner alone
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all is well
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// unknown is the problem of a profile nobody saved, with the nearest name there is.
func (s savedProfiles) unknown(name string) error {
	p := &problem{what: fmt.Sprintf("no profile %q", name), next: "troupe profile list", exit: exitNotFound}
	if near := nearest(name, slices.Sorted(maps.Keys(s.Profiles))); near != "" {
		p.next = fmt.Sprintf("did you mean %q? 'troupe profile list' shows all", near)
	}
	return p
}
