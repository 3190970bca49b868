package controller

import (
	"reflect"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Transcripts hide keys: here it is looked at that each goes where it belongs.
func TestScramRecordHoldsWhatWasAsked(t *testing.T) {
	img, now := joined(t)
	d := Decide(img, now, &protocol.AlterScramCredentials{Changes: []protocol.ScramChange{{
		User: "alice", Mechanism: protocol.ScramSHA512, Iterations: 5000, Salt: []byte("salt"), StoredKey: []byte("stored"), ServerKey: []byte("server"),
	}}})
	want := []image.Record{&image.ScramCredentialSet{
		User: "alice", Mechanism: protocol.ScramSHA512, Iterations: 5000, Salt: []byte("salt"), StoredKey: []byte("stored"), ServerKey: []byte("server"),
	}}
	if !reflect.DeepEqual(d.Records, want) {
		t.Fatal("the record is another one")
	}
	img, _ = img.Apply(3, d.Records)
	got, ok := img.Scram(protocol.ScramSHA512, "alice")
	if !ok || !reflect.DeepEqual(*got, image.ScramCredential(*want[0].(*image.ScramCredentialSet))) {
		t.Error("the image holds another one")
	}
}
