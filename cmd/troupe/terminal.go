package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// terminal is what a command sees of the shell that started it.
type terminal struct {
	in       io.Reader
	out, err io.Writer
	// inTTY, outTTY and errTTY say which of the three are terminals.
	inTTY, outTTY, errTTY bool
	colour                bool
	getenv                func(string) string
	clock                 func() time.Time // nil is the system's
}

func hostTerminal() terminal {
	tty := func(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }
	t := terminal{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTTY: tty(os.Stdin), outTTY: tty(os.Stdout), errTTY: tty(os.Stderr),
		getenv: os.Getenv, clock: time.Now,
	}
	t.colour = t.errTTY && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return t
}

// outColour reports whether standard output shows colours.
func (t terminal) outColour() bool {
	return t.outTTY && t.getenv("NO_COLOR") == "" && t.getenv("TERM") != "dumb"
}

// now is the time as the terminal's clock has it.
func (t terminal) now() time.Time {
	if t.clock == nil {
		return time.Now()
	}
	return t.clock()
}

// say writes one line, or several, of everything that is not data.
func (t terminal) say(format string, args ...any) {
	io.WriteString(t.err, visibleBut(fmt.Sprintf(format+"\n", args...), "\n\t"))
}

// confirm lets a person agree to what a command will destroy. yes is the value of --yes.
func (t terminal) confirm(yes bool, plan string) error {
	if yes {
		return nil
	}
	if !t.inTTY || !t.errTTY {
		return &problem{what: "refused: this would " + plan, why: "there is no terminal to ask on", next: "add --yes, or --dry-run to see what would happen", exit: exitUsage}
	}
	fmt.Fprintf(t.err, "This will %s.\nGo on? [y/N] ", visible(plan))
	line, _ := bufio.NewReader(t.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return &problem{what: "nothing was done", exit: exitFailed}
}
