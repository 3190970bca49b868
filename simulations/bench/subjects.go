package main

// Addresses of the subjects, below the kernel's range for outgoing connections.
const (
	troupeAddr = "127.0.0.1:21092"
	troupeHTTP = "127.0.0.1:21644"
	kafkaAddr  = "127.0.0.1:21192"
	kafkaVotes = "127.0.0.1:21193"
)

// kafkaJVM are the options Apache Kafka's own scripts give the JVM, as far as they bear on speed.
var kafkaJVM = []string{"-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"}
