package client

import (
	"context"
	"net/http"
)

// Accepted is the answer to events: all of them are on disk.
type Accepted struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"` // known by their ids already, and not counted again
}

// NewTraffic makes a client of a traffic listener; see New. An empty token, a producer's, is not sent.
func NewTraffic(address, token string) (*Client, error) {
	c, err := New(address, token)
	if err == nil {
		c.hint = trafficHint
	}
	return c, err
}

// SendEvents sends events as JSON, one a line. It returns once all of them are durable; with a *Refusal none was taken, and
// with any other error it is not known.
func (c *Client) SendEvents(ctx context.Context, lines []byte) (a Accepted, err error) {
	err = c.send(ctx, http.MethodPost, "/v1/events", "application/x-ndjson", lines, http.StatusAccepted, &a)
	return a, err
}
