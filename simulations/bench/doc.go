// Command bench measures troupe against the machine's own limit and against Apache Kafka, in one run.
//
// Every row interleaves its subjects (limit, kafka, troupe) over several rounds and reports medians and ratios, because page-cache
// and hypervisor effects move absolute figures by a factor of two between minutes but leave ratios alone. Load comes from
// pre-encoded batches over raw connections (wire.go), so that the figures are the broker's and not a client library's; real clients
// (franz-go) are measured in rows of their own, against a broker that discards everything (discard.go) as their limit.
//
//	go run ./simulations/bench -rows produce,small -rounds 3 -seconds 5 -kafka DIR
//
// DIR is a directory of Apache Kafka's jars; without -kafka the jars are fetched with Maven into the working directory, and
// `-kafka none` leaves the peer out, which the report then says. Results are written as JSON and SVG next to each other.
//
// Only loopback addresses are used; every process is started by this one and ended by it.
package main
