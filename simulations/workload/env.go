package workload

import (
	"math/rand/v2"
	"time"
)

// Env is the world of the clients.
type Env interface {
	Now() time.Duration
	// Wall is the clients' wall clock, from which create timestamps come.
	Wall() time.Time
	After(d time.Duration, f func())
	// Dial connects to the node; nil means refused.
	Dial(r Receiver) Conn
	// Rand is the chance of the client named.
	Rand(name string) *rand.Rand
}

// Receiver is a client's end of a connection.
type Receiver interface {
	Received(frame []byte)
	Closed()
}

// Conn is a connection to one life of the node.
type Conn interface {
	// Send carries one frame without its length prefix. The frame belongs to the connection from then on.
	Send(frame []byte)
	Close()
	// Era counts the power losses before this life of the node, and Life numbers it.
	Era() int
	Life() int
}
