package protocol

import "log/slog"

// Requester says for whom a command is, so that the log of whoever decides it can tell: as the connection knows it, the address being
// the socket's. It decides nothing. The zero value is the node itself.
type Requester struct {
	Principal string // type:name
	Address   string // of the client, without its port
	Client    string // client.id, as the client chose it
}

// LogValue implements slog.LogValuer. Texts of clients stay attributes, which handlers escape.
func (r Requester) LogValue() slog.Value {
	if r == (Requester{}) {
		return slog.StringValue("the broker itself")
	}
	return slog.GroupValue(slog.String("principal", r.Principal), slog.String("address", r.Address), slog.String("client", r.Client))
}
