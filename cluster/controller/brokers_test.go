package controller

import (
	"reflect"
	"testing"

	"github.com/troupe-broker/troupe/cluster/image"
)

func TestAnEarlierClusterIsRaisedByTheBrokerThatJoins(t *testing.T) {
	img, _ := image.Empty().Apply(1, []image.Record{
		&image.ClusterFounded{ClusterID: "c"}, &image.FeatureLevelSet{Name: "metadata.version", Level: 25}, &image.FeatureLevelSet{Name: "transaction.version", Level: 3},
	})
	r := Registration{ClusterID: "c", Node: 1, Incarnation: [16]byte{1}}
	first := Join(img, r)
	if want := (&image.FeatureLevelSet{Name: "group.version", Level: 1}); len(first) != 2 || !reflect.DeepEqual(first[0], want) {
		t.Errorf("%+v", first)
	}
	img, _ = img.Apply(2, first)
	if again := Join(img, r); len(again) != 0 {
		t.Errorf("again: %+v", again)
	}
	if img.Feature("transaction.version") != 3 {
		t.Error("a level was lowered")
	}
}
