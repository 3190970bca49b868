//go:build !linux

package kafka

import (
	"net"

	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// kernelConn is unusable here: everything goes through net.Conn.
type kernelConn struct{}

func (*kernelConn) init(net.Conn)                            {}
func (*kernelConn) usable() bool                             { return false }
func (*kernelConn) read(*wire.Cutter) (int, error)           { panic("unusable") }
func (*kernelConn) writeMore([]byte) error                   { panic("unusable") }
func (*kernelConn) sendFile(*conn, wire.Range) (bool, error) { return false, nil }
func (*kernelConn) hungUp() bool                             { return false }
