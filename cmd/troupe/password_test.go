package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The nearest password counts: the command line's, the file's, the environment's.
func TestPasswordsOfTheClient(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("of the file\r\nand more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(string) string { return "of the environment" }
	for _, c := range []struct {
		flags saslFlags
		want  string
	}{
		{saslFlags{user: "u", password: "of the command line", file: file}, "of the command line"},
		{saslFlags{user: "u", file: file}, "of the file"},
		{saslFlags{user: "u"}, "of the environment"},
	} {
		c.flags.name = "plain" // which shows the password
		m, err := c.flags.mechanism(getenv)
		if err != nil {
			t.Fatal(err)
		}
		_, first, err := m.Authenticate(context.Background(), "host")
		if err != nil || !strings.HasSuffix(string(first), "\x00"+c.want) {
			t.Errorf("%+v: %q, %v", c.flags, first, err)
		}
	}
	for _, bad := range []string{file + "-none", os.DevNull} {
		if _, err := (&saslFlags{user: "u", name: "PLAIN", file: bad}).mechanism(getenv); err == nil {
			t.Errorf("%s gives a password", bad)
		}
	}
}
