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
//   - A client of a SASL listener may ask once, before it says who it is; while it does so that is ILLEGAL_SASL_STATE, and the end of the
//     connection.
//   - The response header never has tagged fields (KIP-511).
//   - v3+ names the client's software, which must look like a name and a version.
//   - Features are announced if the cluster has finalised them (KIP-584): transaction.version 2 makes clients give every transaction an
//     epoch of its own and leave it to partitions to join transactions (KIP-890). metadata.version is what tools show; ours has no range.
//
// Version history:
//   - v1: throttle time; v3: flexible, client software (KIP-511), features (KIP-584)
//   - v4: features whose lowest version is 0 may be listed; below they are listed from 1 (KAFKA-17011)
//
// Source: KafkaApis.handleApiVersionsRequest, ApiVersionsRequest.isValid, ApiVersionsResponse.

func handleApiVersions(c *Call) {
	if c.Version < c.Row.Min || c.Version > c.Row.Max {
		out := kmsg.NewPtrApiVersionsResponse()
		out.ErrorCode = c.failed(protocol.UnsupportedVersion)
		out.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: c.Row.Key, MinVersion: c.Row.Min, MaxVersion: c.Row.Max}}
		c.Conn.Host.Answer(c, kmsgResponse{out}) // at version 0
		return
	}
	req := kmsg.NewPtrApiVersionsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrApiVersionsResponse()
	if !c.Conn.asksVersions() {
		out.ErrorCode = c.failed(protocol.IllegalSaslState)
		c.fail(out, "ApiVersions came in the middle of an authentication")
		return
	}
	if c.Version >= 3 {
		if !softwareName(req.ClientSoftwareName) || !softwareName(req.ClientSoftwareVersion) {
			out.ErrorCode = c.failed(protocol.InvalidRequest)
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
	if c.Version >= 3 {
		c.features(out)
	}
	c.reply(out)
}

// announced are the features that mean something to clients, with the levels we have; in order of name.
var announced = []struct {
	name     string
	min, max int16
}{
	{"group.version", 0, 1},
	{"metadata.version", 25, 25},
	{"transaction.version", 0, 2},
}

// features lists those that are finalised. A cluster that has finalised none says nothing at all.
func (c *Call) features(out *kmsg.ApiVersionsResponse) {
	img := c.Conn.Images.Load()
	for _, f := range announced {
		level := img.Feature(f.name)
		if level <= 0 {
			continue
		}
		lowest := f.min
		if c.Version < 4 {
			lowest = max(lowest, 1)
		}
		out.FinalizedFeaturesEpoch = img.MetadataOffset
		out.SupportedFeatures = append(out.SupportedFeatures, kmsg.ApiVersionsResponseSupportedFeature{Name: f.name, MinVersion: lowest, MaxVersion: f.max})
		out.FinalizedFeatures = append(out.FinalizedFeatures, kmsg.ApiVersionsResponseFinalizedFeature{Name: f.name, MaxVersionLevel: level, MinVersionLevel: level})
	}
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
