package client

import (
	"context"
	"net/http"
)

// Accepted is the answer to events that are durable.
type Accepted struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"` // accepted before by their ids, and not counted again
}

// NewTraffic makes a client of a traffic listener; see New. An empty token, a producer's, is not sent.
func NewTraffic(address, token string) (*Client, error) {
	c, err := New(address, token)
	if err == nil {
		c.hint = trafficHint
	}
	return c, err
}

// SendEvents sends events as JSON, one a line. It returns once all of them are durable; after a *Refusal none was accepted, and
// after any other error that is unknown.
func (c *Client) SendEvents(ctx context.Context, lines []byte) (a Accepted, err error) {
	err = c.send(ctx, http.MethodPost, "/v1/events", "application/x-ndjson", lines, http.StatusAccepted, &a)
	return a, err
}
