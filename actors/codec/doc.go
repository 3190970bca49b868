// Package codec turns messages into frames and back.
//
//	frame   = type id (uint16, big endian)   says which message, pinned for ever in a Table
//	          msgpack value                  the message, a struct
//
//	struct  = array of its exported fields   in the order of declaration; an embedded struct is one field, an array of its own
//	slice   = array, or nil                  nil and empty are told apart
//	pointer = what it points to, or nil
//	[]byte  = bin, or nil                    [n]byte = bin of exactly n bytes
//	PID     = array [address, id], or nil    decodes to a fresh PID, which resolves at its first use
//	ints, floats, bools, strings as msgpack has them, integers in the shortest form
//
// Fields of interface type are not encoded: they belong to the process they were made in (protocol.Produce.Release). Maps, channels,
// functions and extension types have no place in a message: a Table refuses such a type when it is built.
//
// A message grows at the end of a struct. A decoder ignores fields it does not know and leaves fields it was not sent zero, so release
// N reads what N+1 writes and the other way round. A field never changes its place or its type, an id is never used again.
//
// Decoding never trusts a length. The whole frame is scanned against the shape of its type before anything is allocated: every length
// is compared with the bytes that remain, integers with the width of their field, the nesting and the memory the result would take
// with a budget. The library's own limits do not hold (a 5-byte header can make it allocate 16 GiB); after the scan they need not.
package codec
