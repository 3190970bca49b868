// Package sasl decides one SCRAM conversation from the server's side: who a client is, and whether it has shown that it knows the
// password. It does not decide when a connection may begin one, nor what follows from its end (package api does).
//
// # The conversation
//
//	client   n,[a=user],n=user,r=<client nonce>[,extensions]
//	server   r=<client nonce><server nonce>,s=<salt>,i=<iterations>
//	client   c=<the first message's head>,r=<both nonces>[,extensions],p=<proof>
//	server   v=<signature>
//
// # Invariants
//
//   - Done is true only after a proof under the stored key over both sides' nonces. The nonce of the last message is compared with our
//     own (CVE-2024-56128); who logs in is who is authorised (CVE-2017-12610).
//   - A user that is not there is answered like a wrong password, after the same work: with a salt that is always the same for this
//     name and cannot be told from a real one, and with the iterations that others have. Kafka refuses such a user at its first message.
//   - What a message may say stands in the grammar of RFC 5802. An attribute that comes twice, a mandatory extension, a login with a
//     delegation token: all are failed logins. Extensions that nobody knows are part of what is proved, and mean nothing.
//   - Messages are bounded by tokenMax, before anything is made of them.
//
// # Non-obvious
//
//   - Libraries for the server's side take an attribute twice, leave =2C and =3D in names and tell unknown users apart; what would be
//     left to them is two HMACs.
//   - The secret from which the salt of an unknown user is made comes from the first credential of the mechanism, so that it stays the
//     same over restarts and on every node.
//
// Source: RFC 5802, RFC 7677, KIP-84; ScramSaslServer, ScramMessages, ScramFormatter.
package sasl
