package embedded

// SyncsAlways tells how the server runs.
func (n *NATS) SyncsAlways() bool { return n.server.JetStreamConfig().SyncAlways }

// LoseStore does what the server does when its disk is full.
func (n *NATS) LoseStore() error { return n.server.ShutdownJetStream() }

// ClientURL is where the server listens.
func (n *NATS) ClientURL() string { return n.server.ClientURL() }
