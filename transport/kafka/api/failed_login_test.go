package api

import "testing"

func TestFewLinesSayHowManyWereLeftOut(t *testing.T) {
	var f few
	said := 0
	for range 1000 {
		if leftOut, ok := f.due(5); ok {
			said++
			if leftOut != 0 {
				t.Errorf("%d left out before the bound", leftOut)
			}
		}
	}
	if said != failedLoginLines {
		t.Errorf("%d lines", said)
	}
	if leftOut, ok := f.due(5 + failedLoginEvery); !ok || leftOut != int64(1000-failedLoginLines) {
		t.Errorf("then %d, %v", leftOut, ok)
	}
	if leftOut, ok := f.due(6 + failedLoginEvery); !ok || leftOut != 0 {
		t.Errorf("told again: %d, %v", leftOut, ok)
	}
}
