// Package wire holds what the Kafka edge does with bytes: pooled receive buffers that several owners share, the cutting of a byte
// stream into frames, and the collecting of replies into few writes.
//
// It decides when a received buffer is reused (the last Release) and how much a peer may make us allocate (no more than it sent,
// plus one step). It does not know what a frame means.
//
// A frame of the Kafka protocol:
//
//	int32 size      big endian, of what follows; negative or beyond the limit ends the connection before anything is allocated
//	byte[size]      request header and body, or response header and body
//
// # Invariants
//
// A Buffer is returned to its pool exactly once, by the Release that takes its references to zero; under the build tag
// "invariants" its bytes are overwritten then, so that a view that outlived it is seen. Frames of one Cutter never overlap.
package wire
