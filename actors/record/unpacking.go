package record

import "errors"

// Unpacking is what decompressing for somebody else is bound to, so that nobody is kept busy by a few bytes that unpack to very many. The
// zero value is bound to nothing.
type Unpacking struct {
	// Large is held while a batch is unpacked that takes more memory than a window of 8 MiB: they take turns. Nil: nobody else does.
	Large Turns
	// Meter is paid for what a batch unpacks to beyond what batches usually do. Nil: it is free.
	Meter Meter
}

// Turns is a lock, for what is done by one at a time.
type Turns interface {
	Lock()
	Unlock()
}

// Meter lets through what is paid for.
type Meter interface {
	// Take waits until n more bytes may be unpacked. An error, ErrStopped or one that wraps it, says that nobody wants them any more.
	Take(n int) error
}

// ErrStopped ends the unpacking of a batch that nobody waits for any more. It says nothing about the batch.
var ErrStopped = errors.New("unpacking was stopped")

// unpackedFree is to how many times its size a batch unpacks without being paid for. Text that repeats itself a lot comes to half of it.
const unpackedFree = 32

func (u Unpacking) turns() Turns {
	if u.Large == nil {
		return noTurns{}
	}
	return u.Large
}

func (u Unpacking) pay(n int) error {
	if u.Meter == nil || n <= 0 {
		return nil
	}
	return u.Meter.Take(n)
}

// noTurns is for who is alone.
type noTurns struct{}

func (noTurns) Lock()   {}
func (noTurns) Unlock() {}
