package compat

import (
	encoding "encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// peerPatience bounds how long a hostile peer waits for an answer or for the end of its connection. It is far above what either
// takes, so that only a broker that does neither meets it.
const peerPatience = 8 * time.Second

// peer is a client that writes whatever bytes it likes.
type peer struct {
	t  testing.TB
	nc net.Conn
}

func dial(t testing.TB, addr string) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("the broker does not accept: %v", err)
	}
	t.Cleanup(func() { nc.Close() })
	return &peer{t: t, nc: nc}
}

// write sends b. A broker that closes while it is sent is no failure: what counts is what can be read afterwards.
func (p *peer) write(b []byte) {
	_ = p.nc.SetDeadline(time.Now().Add(peerPatience))
	_, _ = p.nc.Write(b)
}

// answer is the next frame, without its length. io.EOF if the broker closed the connection instead, also by a reset.
func (p *peer) answer() ([]byte, error) {
	_ = p.nc.SetReadDeadline(time.Now().Add(peerPatience))
	var size [4]byte
	if _, err := io.ReadFull(p.nc, size[:]); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		return nil, io.EOF
	}
	body := make([]byte, encoding.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(p.nc, body)
	return body, err
}

// send is one request as a well-behaved client frames it, and its answer.
func (p *peer) send(req kmsg.Request) (kmsg.Response, error) {
	p.write(frameOf(req))
	body, err := p.answer()
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	at := 4 // correlation id
	if resp.IsFlexible() && req.Key() != 18 {
		at++ // no tagged fields
	}
	return resp, resp.ReadFrom(body[at:])
}

// mustSend is send for requests that deserve an answer.
func mustSend[R kmsg.Response](p *peer, req kmsg.Request) R {
	p.t.Helper()
	resp, err := p.send(req)
	if err != nil {
		p.t.Fatalf("%s v%d: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return resp.(R)
}

// mustClose sends b on a connection of its own and demands that the broker close it without a word.
func mustClose(t *testing.T, addr string, b []byte) {
	t.Helper()
	p := dial(t, addr)
	p.write(b)
	switch got, err := p.answer(); {
	case err == nil:
		t.Errorf("answered with %d bytes %.60x, want the connection closed", len(got), got)
	case err != io.EOF:
		t.Errorf("want the connection closed: %v", err)
	}
	p.nc.Close()
}

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID("hostile"))

func frameOf(req kmsg.Request) []byte { return formatter.AppendRequest(nil, req, 7) }

// framed puts the length before a frame.
func framed(b []byte) []byte {
	return append(encoding.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// rawRequest is a request with a body of any bytes; flexible says that its header ends with tagged fields.
func rawRequest(key, version int16, flexible bool, body ...[]byte) []byte {
	b := encoding.BigEndian.AppendUint16(nil, uint16(key))
	b = encoding.BigEndian.AppendUint16(b, uint16(version))
	b = encoding.BigEndian.AppendUint32(b, 7)
	b = append(b, 0, 3, 'e', 'v', 'e')
	if flexible {
		b = append(b, 0)
	}
	for _, part := range body {
		b = append(b, part...)
	}
	return framed(b)
}

func i16(n int16) []byte { return encoding.BigEndian.AppendUint16(nil, uint16(n)) }
func i32(n int32) []byte { return encoding.BigEndian.AppendUint32(nil, uint32(n)) }

// text is a string with an int16 length.
func text(s string) []byte { return append(i16(int16(len(s))), s...) }
