package scenarios

import "testing"

func TestMetadataLogSurvivesEveryCrash(t *testing.T) {
	eachSeed(t, 300, RaftLog)
}
