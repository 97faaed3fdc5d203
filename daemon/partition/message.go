package partition

// Message is a message from NATS that became no event and never will.
type Message struct {
	Origin    string // tells messages apart: what is delivered again has the same
	ServiceID string // named by the subject
	Subject   string
	ID        string // Nats-Msg-Id
	Type      string // Content-Type
	Payload   []byte
	Rejected  bool   // a plain publish: it was never acknowledged to its sender
	Code      string // why it became none
	Detail    string
}
