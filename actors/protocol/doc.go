// Package protocol holds the messages that cross an actor boundary: the native wire contract of troupe.
//
// Commands are imperative (Produce), replies and facts are past tense (Produced). Every command embeds Head, which says where the
// answer goes; every reply embeds Answer, which says what it answers. A command that cannot be delivered (full mailbox, stopped
// actor) is answered through its Refused method, so no request is ever forgotten. Slices in a message belong to the receiver from
// the moment of sending, unless the field says otherwise. Messages hold no maps. The pinned type ids are in table.go.
package protocol
