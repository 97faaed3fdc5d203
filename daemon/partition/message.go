package partition

// Message is a message from NATS that is not a valid event.
type Message struct {
	Origin    string // identifies the message: a redelivery has the same
	ServiceID string // from the subject
	Subject   string
	ID        string // Nats-Msg-Id
	Type      string // Content-Type
	Payload   []byte
	Rejected  bool   // a plain publish: it was never acknowledged to its sender
	Code      string // why it is not valid
	Detail    string
}
