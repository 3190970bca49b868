package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// ListenError is an address that could not be listened on.
type ListenError struct {
	Setting string // the key that asks for it
	Address string
	Err     error
}

func (e *ListenError) Error() string { return fmt.Sprintf("listening on %s: %v", e.Address, e.Err) }
func (e *ListenError) Unwrap() error { return e.Err }

// listen opens a TCP listener on every address that host stands for. Errors are *ListenError; nothing is left open then.
func listen(ctx context.Context, setting, host string, port int) (out []net.Listener, err error) {
	err = eachAddress(ctx, setting, host, port, func(address string) (net.Addr, error) {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
		return l.Addr(), nil
	})
	if err != nil {
		return nil, errors.Join(err, closeAll(out))
	}
	return out, nil
}

// eachAddress calls open for every address that host stands for: all of the machine's if it is empty, both loopbacks for localhost,
// whatever a name resolves to. An address family this machine does not have is left out as long as one address is left. The first
// error of open ends it, as a *ListenError; what was opened stays open.
func eachAddress(ctx context.Context, setting, host string, port int, open func(address string) (net.Addr, error)) error {
	hosts, err := addressesOf(ctx, host)
	if err != nil {
		return &ListenError{setting, net.JoinHostPort(host, strconv.Itoa(port)), err}
	}
	opened := 0
	var missing error
	for _, h := range hosts {
		address := net.JoinHostPort(h, strconv.Itoa(port))
		at, err := open(address)
		switch {
		case err == nil:
			opened++
			port = at.(*net.TCPAddr).Port // the same for all, if any would do
		case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
			missing = &ListenError{setting, address, err}
		default:
			return &ListenError{setting, address, err}
		}
	}
	if opened == 0 {
		return missing
	}
	return nil
}

func addressesOf(ctx context.Context, host string) ([]string, error) {
	switch {
	case host == "" || net.ParseIP(host) != nil:
		return []string{host}, nil
	case host == "localhost":
		return []string{"127.0.0.1", "::1"}, nil
	}
	return net.DefaultResolver.LookupHost(ctx, host)
}

func closeAll(listeners []net.Listener) (err error) {
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

func addresses(listeners []net.Listener) (out []string) {
	for _, l := range listeners {
		out = append(out, l.Addr().String())
	}
	return out
}
