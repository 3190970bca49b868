//go:build race

package storage

// stride thins out what is single-threaded and long: the race detector has nothing to find there.
const stride = 8
