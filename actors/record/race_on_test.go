//go:build race

package record

// raced: under the race detector a sync.Pool forgets at random, on purpose.
const raced = true
