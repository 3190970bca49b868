// Command troupe is a Kafka-compatible broker, its command line and its tools in one binary.
//
//	troupe dev                      a broker for trying things out, in one command
//	troupe start                    a broker, configured with Kafka's own names
//	troupe topic|produce|consume    work against troupe and against any other Kafka
//	troupe group|txn|peek           what groups and transactions do there, and moving them by hand
//	troupe config                   settings of topics, groups and brokers
//	troupe cluster                  what lies on the brokers' disks
//	troupe user                     who can log in
//	troupe bench                    how fast a Kafka takes and gives records
//	troupe profile                  saved connections
//	troupe doctor                   what a client would see, and what is wrong with it
//	troupe debug log dump           what is in a log directory
//
// # Rules of the command line
//
// Standard output is data, standard error is everything else. What a command prints is one Go type: `-o table|json|jsonl|yaml` are
// views of it and `-o help` prints its shape, without running the command. Colours and progress appear only on terminals. Commands
// that destroy show what they will do, ask on a terminal, want --yes in scripts and take --dry-run.
//
// An error says what failed, why, and what to try next (see problem). Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found,
// 4 unhealthy, 5 refused for lack of rights, 124 timed out, 130 interrupted.
//
// # Non-obvious
//
//   - Nothing touches the network or the disk before the command line is parsed; start-up is a few milliseconds.
//   - `-o` of consume takes offsets as well as output formats, because rpk and kcat users type `-o start`: the two languages share
//     no word.
//   - What other tools call a command or a flag is a table (words.go): the error of an unknown one says what it is here.
//   - Tables say that a row failed, standard error says why, once; JSON has both.
//   - Before a Kafka client is built the bootstrap addresses are dialled once (see dial.go): the client library retries a refused
//     connection for many seconds and cannot say which step failed.
package main
