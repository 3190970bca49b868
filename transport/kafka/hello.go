package kafka

import "bytes"

// foreign recognises what else is often sent to this port by the first bytes of a connection, all of which would be absurd as the
// length of a request (KIP-498). Empty if nothing is recognised.
func foreign(prefix []byte) string {
	switch {
	case len(prefix) >= 3 && prefix[0] == 0x16 && prefix[1] == 3 && prefix[2] <= 4:
		return "a TLS handshake: this listener speaks plaintext; set security.protocol=PLAINTEXT in the client, or connect to a TLS listener"
	case bytes.HasPrefix(prefix, []byte("SSH-")):
		return "an SSH client: this is the Kafka protocol"
	}
	for _, method := range []string{"GET ", "POST", "PUT ", "HEAD", "DELE", "OPTI", "PATC", "CONN", "TRAC", "PRI "} {
		if bytes.HasPrefix(prefix, []byte(method)) {
			return "an HTTP request: this is the Kafka protocol; the HTTP port is another one"
		}
	}
	return ""
}
