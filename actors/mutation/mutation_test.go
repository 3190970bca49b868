package mutation

import "testing"

func TestTableIsComplete(t *testing.T) {
	if len(Table) != int(count)-1 {
		t.Fatalf("%d entries for %d mutations", len(Table), count-1)
	}
	for i, e := range Table {
		if int(e.Mutation) != i+1 || e.Name == "" || e.Bug == "" || Named(e.Name) != e.Mutation {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
}

func TestNothingIsMutatedByDefault(t *testing.T) {
	for _, e := range Table {
		if Is(e.Mutation) {
			t.Errorf("%s is on", e.Name)
		}
	}
}
