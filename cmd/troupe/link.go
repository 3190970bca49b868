package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
)

// linkAnswerMax bounds what a link believes as the length of an answer.
const linkAnswerMax = 64 << 20 // bytes

// link speaks Kafka over one connection, a request at a time. It shows every layer, where a client library hides them.
type link struct {
	conn     net.Conn
	format   *kmsg.RequestFormatter
	next     int32
	versions map[int16]int16 // highest the broker takes, by API key
	lowest   map[int16]int16
}

func newLink(conn net.Conn) *link {
	return &link{conn: conn, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("troupe-doctor"))}
}

// request sends req at the highest version both sides know and reads the answer into resp.
func (l *link) request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if high, ok := l.versions[req.Key()]; ok {
		req.SetVersion(min(high, req.MaxVersion()))
		if req.GetVersion() < l.lowest[req.Key()] {
			return nil, fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), kerr.UnsupportedVersion)
		}
	} else if req.Key() != int16(kmsg.ApiVersions) {
		return nil, fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), kerr.UnsupportedVersion)
	}
	if deadline, ok := ctx.Deadline(); ok {
		l.conn.SetDeadline(deadline)
	} else {
		l.conn.SetDeadline(time.Now().Add(dialTimeout))
	}
	l.next++
	if _, err := l.conn.Write(l.format.AppendRequest(nil, req, l.next)); err != nil {
		return nil, err
	}
	body, err := l.read()
	if err != nil {
		return nil, err
	}
	return l.parse(req, body)
}

func (l *link) read() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(l.conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	switch {
	case string(size[:]) == "HTTP":
		return nil, errWeb
	case bytes.IndexFunc(size[:], func(r rune) bool { return r < ' ' || r > '~' }) < 0:
		return nil, fmt.Errorf("%w: it answers in text, %q...", errNotKafka, size)
	case size[0] == 0x15 && size[1] == 0x03:
		return nil, errTLS
	case n < 4 || n > linkAnswerMax:
		return nil, fmt.Errorf("%w: a length of %d", errNotKafka, n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(l.conn, body)
	return body, err
}

// parse checks the correlation id, skips the rest of the header and reads the body.
func (l *link) parse(req kmsg.Request, body []byte) (kmsg.Response, error) {
	b := kbin.Reader{Src: body}
	if id := b.Int32(); id != l.next {
		return nil, fmt.Errorf("%w: correlation id %d instead of %d", errNotKafka, id, l.next)
	}
	apiVersions := req.Key() == int16(kmsg.ApiVersions)
	if req.IsFlexible() && !apiVersions { // the header of ApiVersions is never flexible: KIP-511
		for range b.Uvarint() {
			b.Uvarint()
			b.Span(int(b.Uvarint()))
		}
	}
	if b.Complete() != nil && !b.Ok() {
		return nil, fmt.Errorf("%w: a header that ends early", errNotKafka)
	}
	resp := req.ResponseKind()
	if apiVersions && len(b.Src) >= 2 && binary.BigEndian.Uint16(b.Src) == uint16(kerr.UnsupportedVersion.Code) {
		resp.SetVersion(0)
	}
	if err := resp.ReadFrom(b.Src); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotKafka, err)
	}
	return resp, nil
}

// handshake asks which versions the broker takes, falling back as clients do when the question itself is too new.
func (l *link) handshake(ctx context.Context) (*kmsg.ApiVersionsResponse, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "troupe", version
	for _, v := range []int16{4, 3, 0} {
		req.SetVersion(v)
		resp, err := l.request(ctx, req)
		if err != nil {
			return nil, err
		}
		got := resp.(*kmsg.ApiVersionsResponse)
		if got.ErrorCode == kerr.UnsupportedVersion.Code && v > 0 {
			continue
		}
		l.versions, l.lowest = map[int16]int16{}, map[int16]int16{}
		for _, k := range got.ApiKeys {
			l.versions[k.ApiKey], l.lowest[k.ApiKey] = k.MaxVersion, k.MinVersion
		}
		return got, kerr.ErrorForCode(got.ErrorCode)
	}
	return nil, kerr.UnsupportedVersion
}

// authenticate runs a SASL exchange. handshake comes first.
func (l *link) authenticate(ctx context.Context, how sasl.Mechanism, addr string) error {
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Mechanism = how.Name()
	resp, err := l.request(ctx, hello)
	if err != nil {
		return err
	}
	got := resp.(*kmsg.SASLHandshakeResponse)
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return fmt.Errorf("%w; the broker takes %v", err, slices.Sorted(slices.Values(got.SupportedMechanisms)))
	}
	host, _, _ := net.SplitHostPort(addr)
	session, token, err := how.Authenticate(ctx, host)
	for done := false; err == nil && !done; {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SASLAuthBytes = token
		if resp, err = l.request(ctx, req); err != nil {
			return err
		}
		answer := resp.(*kmsg.SASLAuthenticateResponse)
		if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
			if answer.ErrorMessage != nil {
				return errors.Join(&detailed{err, *answer.ErrorMessage})
			}
			return err
		}
		done, token, err = session.Challenge(answer.SASLAuthBytes)
	}
	return err
}

// metadata asks for the cluster and all its topics.
func (l *link) metadata(ctx context.Context) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	resp, err := l.request(ctx, req)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.MetadataResponse), nil
}
