package node

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
)

func TestLocalhostIsEveryLoopback(t *testing.T) {
	listeners, err := listen(t.Context(), "http.listener", "localhost", 20610)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(listeners)
	hosts := []string{"127.0.0.1"}
	if l, err := net.Listen("tcp", "[::1]:20611"); err == nil {
		l.Close()
		hosts = append(hosts, "::1")
	}
	for _, h := range hosts {
		conn, err := net.Dial("tcp", net.JoinHostPort(h, "20610"))
		if err != nil {
			t.Error(err)
			continue
		}
		conn.Close()
	}
}

func TestAnAddressThatCannotBeIsSaid(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:20612")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		host  string
		cause error
	}{{"127.0.0.1", syscall.EADDRINUSE}, {"localhost", syscall.EADDRINUSE}, {"192.0.2.1", syscall.EADDRNOTAVAIL}} {
		_, err := listen(t.Context(), "listeners", c.host, 20612)
		var at *ListenError
		if !errors.As(err, &at) || !errors.Is(err, c.cause) || at.Setting != "listeners" || !strings.HasSuffix(at.Address, ":20612") {
			t.Errorf("%s: got %v", c.host, err)
		}
	}
	if l, err := net.Listen("tcp", "[::1]:20612"); err == nil {
		l.Close()
	} else if !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("a failed listen left something open: %v", err)
	}
}
