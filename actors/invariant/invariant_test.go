package invariant

import (
	"slices"
	"testing"
)

func TestCheckPanicsWithTheNumbers(t *testing.T) {
	Check(true, "unused %d", 1)
	defer func() {
		if got, want := recover(), Violation("invariant violated: hw 7 over leo 5"); got != want {
			t.Errorf("panic %v, want %v", got, want)
		}
	}()
	Check(false, "hw %d over leo %d", 7, 5)
}

func TestSometimesCountsReachedAndTaken(t *testing.T) {
	Reset()
	defer Reset()
	for i := range 5 {
		if Sometimes("b", i == 3) != (i == 3) {
			t.Error("Sometimes must return its condition")
		}
	}
	Sometimes("a", false)
	want := []Count{{"a", 1, 0}, {"b", 5, 1}}
	if got := Snapshot(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	Reset()
	if got := Snapshot(); len(got) != 0 {
		t.Errorf("after Reset: %v", got)
	}
}

func TestCheckThatHoldsDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Check(true, "holds") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
