// Command suite runs test suites that other projects wrote against a fresh troupe and compares what passes with a kept list.
//
//	go run ./simulations/compat/suite -suite java
//	go run ./simulations/compat/suite -suite java -against kafka     # the same against Apache Kafka: are the tests themselves right?
//	go run ./simulations/compat/suite -suite java -only 'Console.*'
//	go run ./simulations/compat/suite -suite librdkafka -jobs 4
//	go run ./simulations/compat/suite -suite franz-go-chaos -count 20                # a soak
//	go run ./simulations/compat/suite -suite readers                                 # six libraries, every shape of answer
//	go run ./simulations/compat/suite -suite answers -kafka DIR                       # the same questions to Apache Kafka beside it
//	go run ./simulations/compat/suite -quick                                         # what `make test` runs
//
// A suite names what it needs of the machine, gets it ready, runs its own command and tells the result of each of its tests by name
// (see suite). The list in expected/SUITE.txt says what each test shall come to, with the reason for those that fail. A run fails on
// a test that passed before and fails now, on a test that is listed as failing and passes, on a test that is not listed, and on a
// listed one that did not run: the list is always true. A test that is a matter of luck on Apache Kafka itself is listed as "either",
// and a reason that begins with "Kafka too:" tells what Apache Kafka does not pass either, one with "Kafka not:" what it alone
// does not pass; the rest it passes. A tool that the machine lacks fails the run and is named; nothing is skipped in silence. -accept
// writes the list anew and keeps the reasons.
//
// The score is printed as a Markdown table and, with -out DIR, written there as score.md and score.json.
//
// One suite, answers, is our own: it puts the same requests to troupe and to an Apache Kafka beside it, and compares the answers field by
// field. -against kafka puts them to two of Apache Kafka, where nothing may differ: is the comparison itself right?
//
// Only loopback addresses are used; every process is started by this one and ended by it.
package main
