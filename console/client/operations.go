package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/reporterd/reporterd/console"
)

// Status is what GET /api/v1/status answers.
func (c *Client) Status(ctx context.Context) (s console.Status, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/status", nil, &s)
	return s, err
}

// Parts says how each part of the daemon is. A part that failed is no error.
func (c *Client) Parts(ctx context.Context) (h console.Health, err error) {
	err = c.Call(ctx, http.MethodGet, "/livez?verbose", nil, &h)
	return h, err
}

// Names are the services and reasons that filters can name.
func (c *Client) Names(ctx context.Context) (n console.Names, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/names", nil, &n)
	return n, err
}

// Flush returns once what was accepted before is sealed and every lane was tried: what came of each.
func (c *Client) Flush(ctx context.Context) (f console.Flushed, err error) {
	err = c.Call(ctx, http.MethodPost, "/-/flush", nil, &f)
	return f, err
}

// Reload has the configuration read again; removed are services that are meant to go. It returns once that is in force.
func (c *Client) Reload(ctx context.Context, removed []string) (r console.Reloaded, err error) {
	path := "/-/reload"
	if len(removed) > 0 {
		path += "?" + url.Values{"removed": removed}.Encode()
	}
	err = c.Call(ctx, http.MethodPost, path, nil, &r)
	return r, err
}

// Ledger is what GET /api/v1/ledger answers to a query.
func (c *Client) Ledger(ctx context.Context, query url.Values) (answer json.RawMessage, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/ledger?"+query.Encode(), nil, &answer)
	return answer, err
}
