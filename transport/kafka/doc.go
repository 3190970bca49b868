// Package kafka is the edge that Kafka clients talk to: it listens, cuts frames, keeps replies in order, and leaves the meaning of
// requests to package api.
//
// What it decides: when a connection may send more, when its replies leave, when it ends. What it does not decide: anything about
// topics, logs or groups.
//
// # One connection
//
// A Session is the protocol without the socket: it is handed frames and yields replies, on whatever threads, under one lock. It starts
// no goroutine and reads no clock but the node's, so the simulator drives it directly. A conn wraps it for a socket with two
// goroutines: the receiver reads many frames with one system call and hands them to the session; the sender is woken once for any
// number of answers, takes them in, and writes all replies that are ready with one system call, records by sendfile.
//
// # Order
//
// Replies leave in the order of their requests, whatever the order in which partitions answer: pipeline. A parked Fetch holds back what
// was asked after it on its connection, as in Kafka. A Produce with acks=0 keeps its place without an answer.
//
// # Bounds
//
//	one frame             socket.request.max.bytes; its memory grows with what arrives; before authentication
//	                      sasl.server.max.receive.size
//	one connection        pipelineRequestsMax requests, pipelineBytesMax bytes of them; then it is not read from
//	one address           a share of memory and connections that leaves some for others; max.connections.per.ip
//	all connections       wire.Memory for receive buffers, Admission (max.connections, descriptors, max.connection.creation.rate)
//	large answers         Replies: worked on by turns while there is room for them; who does not read goes when others wait
//	work of actors        Backlog: when much is under way on the node, a connection runs ahead by a few requests only
//	unpacking             Unpacking: what batches unpack to beyond the usual shares a pace, of the node and of each network; it ends with
//	                      its client
//	unknown clients       the lobby: few connections and little memory of their own; at the bound some have to go
//	time                  an idle connection, a login, a frame (one deadline from its first byte), a reply that is not taken
//	failed logins         LoginFailures: those of one network share a pace
//
// # Who a client is
//
// On a SASL listener a session hands nothing but questions for versions and for authentication to package api until the client has said
// who it is (api.Conn.Admit, the one gate), and after a failure it is not Ready until it ends. Then its principal stays with the
// connection.
//
// # Hostile peers
//
// Nothing is allocated for what is only announced. A request that cannot be decoded, or that asks for a key or version that is not
// served, ends its connection with a line in the log that names client, key and version. TLS and HTTP on this port are recognised and
// explained. A panic ends one connection, is counted, and is a bug.
package kafka
