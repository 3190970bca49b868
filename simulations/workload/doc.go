// Package workload is the clients of a simulation: producers, consumers, an administrator and the final reader. They speak Kafka's own
// frames, built with kmsg and with a record batch codec of their own, so nothing the broker gets wrong in its codecs can cancel out.
//
// A client is a state machine on callbacks: it is told of answers, of time passing and of connections that break, and it never waits.
// What it does to the world goes through Env. Everything it learns goes into a check.Recorder, by the rules in package check:
// values unique and growing, one send one batch, unknown outcomes called unknown, a process that is unsure of its order retired.
package workload
