// Command bench measures troupe against the machine's own limit and against Apache Kafka, in one run.
//
// A row runs its brokers one after the other, for two would share the cores, each warmed up and then measured over several rounds. Rows
// that have a limit take it anew beside every measurement and report the ratio, because page-cache and hypervisor effects move absolute
// figures by a factor of two between minutes but leave ratios alone; all report medians. Load comes from pre-encoded batches over raw
// connections (wire.go), so that the figures are the broker's and not a client library's; rows that need more of the protocol than that
// use a real client (franz-go), which is measured by itself against a broker that discards everything (discard.go).
//
//	go run ./simulations/bench -rows produce,small -rounds 3 -seconds 5 -kafka DIR
//
// DIR is a directory of Apache Kafka's jars; without -kafka the jars are fetched with Maven into the working directory, and
// `-kafka none` leaves the peer out, which the report then says. With -out, results are written as JSON and SVG as well.
//
// Only loopback addresses are used; every process is started by this one and ended by it.
package main
