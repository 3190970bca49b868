package group_test

import "testing"

// TestTheSameSeedGivesTheSameRun: nothing in the shells depends on the order of a map or on anything else that a seed does not decide.
func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	run := func() string {
		c := &copier{world: newSeededWorld(t, 5), tv2: true}
		c.rand = c.sim.Stream("copier")
		c.topic("t", 1)
		c.coordinator("g")
		c.transactions("copier")
		for i := range 30 {
			c.commit(string(rune('a'+i)), at("t", 0, 1))
		}
		c.generation("m", "", "", "")
		c.copy(5)
		c.kill()
		c.list()
		c.copy(10)
		return c.sim.String()
	}
	if a, b := run(), run(); a != b {
		t.Errorf("%s, then %s", a, b)
	}
}
