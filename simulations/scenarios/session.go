package scenarios

import (
	"encoding/binary"
	"time"

	"github.com/troupe-broker/troupe/simulations/sim"
	"github.com/troupe-broker/troupe/transport/kafka"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// frameMax is the largest request the simulated sockets take, in bytes.
const frameMax = 1 << 20

// session is the node's end of a simulated connection: it does with a kafka.Session what the goroutines of a socket do, as events.
type session struct {
	process *sim.Process
	conn    *sim.Conn
	kafka   *kafka.Session
	cutter  *wire.Cutter
	waiting [][]byte // received, while the session takes no more
	chance  *sim.Stream
	closed  bool
}

// newSession binds a connection to the session that open makes; open is given the wake function.
func newSession(c *sim.Conn, memory *wire.Memory, chance *sim.Stream, open func(wake func()) *kafka.Session) *session {
	s := &session{process: c.Process(), conn: c, cutter: wire.NewCutter(memory, frameMax), chance: chance}
	s.kafka = open(s.wake)
	return s
}

// wake implements the callback of kafka.NewSession: the sender looks a moment later.
func (s *session) wake() {
	s.process.After(s.chance.Duration(0, 10*time.Microsecond), s.drain)
}

// Received implements sim.Server.
func (s *session) Received(frame []byte) {
	s.waiting = append(s.waiting, frame)
	s.feed()
}

// feed hands frames over while the session takes them.
func (s *session) feed() {
	for len(s.waiting) > 0 && !s.closed && s.kafka.Ready() {
		frame := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.pour(binary.BigEndian.AppendUint32(nil, uint32(len(frame))))
		s.pour(frame)
		s.cut()
	}
}

// pour gives bytes to the cutter in pieces of any size, as a socket does.
func (s *session) pour(b []byte) {
	for len(b) > 0 {
		n := len(b)
		if s.chance.Chance(0.1) {
			n = 1 + s.chance.IntN(n)
		}
		n = copy(s.cutter.Space(), b[:n])
		s.cutter.Filled(n)
		b = b[n:]
	}
}

func (s *session) cut() {
	for !s.closed {
		f, ok, err := s.cutter.Next()
		if err != nil {
			s.hangUp(err)
			return
		}
		if !ok {
			s.cutter.Rest()
			return
		}
		if err := s.kafka.Handle(f); err != nil {
			s.hangUp(err)
		}
	}
}

// drain sends what the session has to say.
func (s *session) drain() {
	if s.closed {
		return
	}
	var out wire.Out
	for {
		err := s.kafka.Drain(&out)
		sent := out.Len() > 0
		if sent {
			s.send(&out)
		}
		if err != nil {
			s.hangUp(err)
			return
		}
		if !sent {
			break
		}
	}
	s.feed()
}

func (s *session) send(out *wire.Out) {
	b, err := out.AppendTo(nil)
	out.Reset(0)
	if err != nil {
		s.hangUp(err)
		return
	}
	for len(b) >= 4 {
		n := 4 + int(binary.BigEndian.Uint32(b))
		s.conn.Reply(b[4:n:n])
		b = b[n:]
	}
}

func (s *session) hangUp(err error) {
	if s.closed {
		return
	}
	s.process.Host.World.Trace.Printf("the node hangs up on connection %d: %v", s.conn.ID, err)
	s.end()
	s.conn.CloseByServer()
}

// Closed implements sim.Server.
func (s *session) Closed() { s.end() }

func (s *session) end() {
	if s.closed {
		return
	}
	s.closed = true
	s.kafka.Close()
	s.cutter.Close()
}
