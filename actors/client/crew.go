package client

import "github.com/troupe-broker/troupe/actors"

// crew are the actors among which a consumer shares its partitions.
type crew []hand

// hand is one of them.
type hand struct {
	pid    actors.PID
	gone   bool
	lanes  int // partitions it has
	credit credit
	turn   int // where among its partitions delivery goes on
}

// next is who gets the next partition: the one with the fewest, the first of several; -1 if all are gone. Partitions stay where they
// are until they are revoked or their actor ends: an actor's state about its partitions is worth more than an even count.
func (c crew) next() int {
	best := -1
	for i := range c {
		if !c[i].gone && (best < 0 || c[i].lanes < c[best].lanes) {
			best = i
		}
	}
	return best
}

// find is the index of an actor that is not gone; -1 if it is none of them.
func (c crew) find(pid actors.PID) int {
	for i := range c {
		if !c[i].gone && c[i].pid.Equal(pid) {
			return i
		}
	}
	return -1
}
