package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// passwordMax is the longest password taken from a file or standard input, in bytes.
const passwordMax = 4096

// newPassword gets a password for somebody, from file, from a person who types it twice and does not see it, or from the first line of
// standard input. It never comes from the command line, which other users of the machine can see.
func (a *app) newPassword(file string) (string, error) {
	if file != "" {
		return passwordFile(file)
	}
	in, ok := a.terminalInput()
	if !ok {
		return firstLine(a.in, "standard input")
	}
	first, err := a.typed(in, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := a.typed(in, "Again: ")
	if err == nil && first != again {
		err = usage("", "the passwords differ")
	}
	if err == nil && first == "" {
		err = usage("", "the password is empty")
	}
	return first, err
}

// terminalInput is the terminal on which somebody can type a password.
func (a *app) terminalInput() (*os.File, bool) {
	in, ok := a.in.(*os.File)
	return in, ok && a.inTTY && a.errTTY
}

func (a *app) typed(in *os.File, prompt string) (string, error) {
	_, _ = io.WriteString(a.err, prompt)
	b, err := term.ReadPassword(int(in.Fd()))
	a.say("")
	return string(b), err
}

// passwordFile is the first line of a file.
func passwordFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", &problem{what: "cannot read the password", why: err.Error(), exit: exitUsage, cause: err}
	}
	defer f.Close()
	return firstLine(f, name)
}

// firstLine is a password; where is said if there is none.
func firstLine(r io.Reader, where string) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, passwordMax)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", &problem{what: "cannot read the password", why: err.Error(), exit: exitUsage, cause: err}
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", usage("a line with the password there, or --help", "no password in %s", where)
	}
	return line, nil
}
