package api

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DescribeClientQuotas: v0-1. The quotas of users, client ids and addresses (KIP-546). `kafka-configs --describe --entity-type users` asks
// this before it shows the users of SCRAM.
//
// Behaviour:
//   - None match: there are no quotas, and AlterClientQuotas makes none. What Kafka finds wrong with a request is refused as there.
//
// Version history:
//   - v1: flexible
//
// Source: ClientQuotasImage.describe.

// quotaEntities are the types of entities that have quotas. Source: ClientQuotaEntity.
var quotaEntities = []string{"user", "client-id", "ip"}

// quotaMatchMax is the last kind of match: exact, default, any.
const quotaMatchMax = 2

func handleDescribeClientQuotas(c *Call) {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrDescribeClientQuotasResponse()
	out.ErrorMessage, out.Entries = new(string), []kmsg.DescribeClientQuotasResponseEntry{}
	if fault := quotaFilterFault(req.Components); fault.Failed() {
		out.ErrorCode, out.ErrorMessage, out.Entries = c.failed(fault.Code), messageOf(fault), nil
	}
	c.reply(out)
}

// quotaFilterFault says what is wrong with a filter.
func quotaFilterFault(components []kmsg.DescribeClientQuotasRequestComponent) protocol.Fault {
	invalid := func(reason string) protocol.Fault {
		return protocol.Fault{Code: protocol.InvalidRequest, Reason: reason}
	}
	var seen []string
	for _, m := range components {
		exact := m.MatchType == kmsg.QuotasMatchTypeExact
		switch {
		case m.EntityType == "":
			return invalid("Invalid empty entity type.")
		case slices.Contains(seen, m.EntityType):
			return invalid("Entity type " + m.EntityType + " cannot appear more than once in the filter.")
		case exact && m.Match == nil:
			return invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.")
		case m.MatchType == kmsg.QuotasMatchTypeDefault && m.Match != nil:
			return invalid("Request specified MATCH_TYPE_DEFAULT, but also specified a match string.")
		case m.MatchType == kmsg.QuotasMatchTypeAny && m.Match != nil:
			return invalid("Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.")
		case m.MatchType < 0 || m.MatchType > quotaMatchMax:
			return invalid("Unknown match type " + strconv.Itoa(int(m.MatchType)))
		case !slices.Contains(quotaEntities, m.EntityType):
			return protocol.Fault{Code: protocol.UnsupportedVersion, Reason: "Unsupported entity type " + m.EntityType}
		}
		seen = append(seen, m.EntityType)
	}
	if slices.Contains(seen, "ip") && len(seen) > 1 {
		return invalid("Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component.")
	}
	return protocol.Fault{}
}
