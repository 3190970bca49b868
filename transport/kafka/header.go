package kafka

import (
	"fmt"

	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// header is the header of a request, versions 1 and 2, and where the body begins:
//
//	int16 key, int16 version, int32 correlation id
//	nullable string client id      always with an int16 length, so that it can be read before the version is understood
//	tagged fields                  if the body is flexible (version 2)
type header struct {
	row         *api.Row
	version     int16
	correlation int32
	client      []byte // view of the frame; nil for null
	body        []byte
}

// RefusedError is a request that is answered by the end of the connection, as Kafka does: there is no response of a version or key
// that we do not know. Source: SocketServer.parseRequestHeader.
type RefusedError struct {
	Key, Version int16
	Client       string
	Server       *api.Server
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("client %q sent %s version %d: %s", e.Client, api.NameOf(e.Key), e.Version, e.Server.Refusal(e.Key))
}

// parseHeader reads the header of a frame.
func parseHeader(s *api.Server, frame []byte) (h header, err error) {
	r := wire.NewReader(frame, false)
	key := r.Int16()
	h.version, h.correlation = r.Int16(), r.Int32()
	h.client, _ = r.NullableString()
	if r.Err() != nil {
		return h, fmt.Errorf("%w: a header of %d bytes is cut off", r.Err(), len(frame))
	}
	h.row = s.Row(key)
	if h.row == nil || !h.row.Serves(h.version) {
		return h, &RefusedError{key, h.version, string(h.client), s}
	}
	if h.row.FlexibleRequest(h.version) {
		r.Flexible = true
		r.Tags(nil)
	}
	h.body = r.Rest()
	return h, r.Err()
}
