package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// ApiVersions: v0-4.
//
// Behaviour:
//   - A version we do not know is answered in version 0 with UNSUPPORTED_VERSION and the one row of ApiVersions itself, so that the
//     client can ask again.
//   - The response header never has tagged fields (KIP-511).
//   - v3+ names the client's software, which must look like a name and a version.
//   - No feature is announced: a finalised feature makes clients rely on it, so one is named when all of it works (KIP-584).
//
// Version history:
//   - v1: throttle time; v3: flexible, client software (KIP-511), features (KIP-584)
//   - v4: features whose lowest version is 0 may be listed (KAFKA-17011)
//
// Source: KafkaApis.handleApiVersionsRequest, ApiVersionsRequest.isValid.

func handleApiVersions(c *Call) {
	if c.Version < c.Row.Min || c.Version > c.Row.Max {
		out := kmsg.NewPtrApiVersionsResponse()
		out.ErrorCode = c.Conn.failed(protocol.UnsupportedVersion)
		out.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: c.Row.Key, MinVersion: c.Row.Min, MaxVersion: c.Row.Max}}
		c.Conn.Host.Answer(c, kmsgResponse{out}) // at version 0
		return
	}
	req := kmsg.NewPtrApiVersionsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrApiVersionsResponse()
	if c.Version >= 3 {
		if !softwareName(req.ClientSoftwareName) || !softwareName(req.ClientSoftwareVersion) {
			out.ErrorCode = c.Conn.failed(protocol.InvalidRequest)
			c.reply(out)
			return
		}
		c.Conn.Software, c.Conn.SoftwareVersion = req.ClientSoftwareName, req.ClientSoftwareVersion
	}
	for _, r := range c.Conn.table {
		if r != nil {
			out.ApiKeys = append(out.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: r.Key, MinVersion: r.Min, MaxVersion: r.Max})
		}
	}
	c.reply(out)
}

// softwareMax bounds what is kept of a client's name, in bytes.
const softwareMax = 256

// softwareName matches [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?.
func softwareName(s string) bool {
	if s == "" || len(s) > softwareMax || !alphanumeric(s[0]) || !alphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && s[i] != '-' && s[i] != '.' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
