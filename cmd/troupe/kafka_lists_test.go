package main

import (
	"slices"
	"testing"
)

func TestListsOfKafkaConfigs(t *testing.T) {
	for text, want := range map[string][]string{
		"a=1":                              {"a=1"},
		"a=1,b=2":                          {"a=1", "b=2"},
		"k1=v1,k2=[v1,v2,v2],k3=v3":        {"k1=v1", "k2=v1,v2,v2", "k3=v3"},
		"cleanup.policy=[compact,delete]":  {"cleanup.policy=compact,delete"},
		"a=, b=x=y ,":                      {"a=", "b=x=y"},
		"a,b , c":                          {"a", "b", "c"},
		"a=[1],b=[[x,y],z],c=]":            {"a=1", "b=[x,y],z", "c=]"},
		"SCRAM-SHA-256=[iterations=1,p=2]": {"SCRAM-SHA-256=iterations=1,p=2"},
		"":                                 nil,
	} {
		if got := splitKafkaList(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for set, several := range map[string]bool{
		"retention.ms=1,cleanup.policy=compact": true, "segment.ms=1, retention.bytes=2": true, "cleanup.policy=compact,delete": false, "a=x=y,z": false,
		"log.retention.ms=5,num.partitions=2": true, "x=1,nobody.knows=2": false,
	} {
		if _, err := settings([]string{set}); (err != nil) != several {
			t.Errorf("--set %s: %v", set, err)
		}
	}
}
