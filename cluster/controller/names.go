package controller

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors/protocol"
)

const (
	// topicNameMax is the longest topic name, in bytes. Source: Topic.MAX_NAME_LENGTH.
	topicNameMax = 249
	// metadataTopic is the name of Kafka's metadata log, which is no topic anybody may create.
	metadataTopic = "__cluster_metadata"
)

// CheckTopicName says whether a topic may have the name. Source: Topic.validate.
func CheckTopicName(name string) protocol.Fault {
	reason := ""
	switch {
	case name == "":
		reason = "the empty string is not allowed"
	case name == "." || name == "..":
		reason = "'" + name + "' is not allowed"
	case len(name) > topicNameMax:
		reason = fmt.Sprintf("the length of '%s' is longer than the max allowed length %d", name, topicNameMax)
	case !legal(name):
		reason = fmt.Sprintf("'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	default:
		return protocol.Fault{}
	}
	return fault(protocol.InvalidTopic, "Topic name is invalid: "+reason)
}

func legal(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
