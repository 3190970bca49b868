// Package model is a tiny Kafka in memory: one node, no faults, no files, every answer at once. It is the oracle for what the broker
// must answer when nothing goes wrong, and a stand-in for the broker while the clients and the checker of the simulator are tested.
//
// It is written from the protocol's documentation, not from the broker: slices and linear searches, no index, no cache, no batching of
// effects, nothing that could be wrong in the same way. Where Kafka leaves a choice (how many batches one fetch returns, which id a
// topic gets) the comparison has to allow for it, not the model.
package model
