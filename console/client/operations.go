package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/reporterd/reporterd/console"
)

// Status returns the answer of GET /api/v1/status.
func (c *Client) Status(ctx context.Context) (s console.Status, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/status", nil, &s)
	return s, err
}

// Parts returns the state of each part of the daemon. A failed part is not an error.
func (c *Client) Parts(ctx context.Context) (h console.Health, err error) {
	err = c.Call(ctx, http.MethodGet, "/livez?verbose", nil, &h)
	return h, err
}

// Names returns the services and reasons for filters.
func (c *Client) Names(ctx context.Context) (n console.Names, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/names", nil, &n)
	return n, err
}

// Flush returns once everything accepted before is sealed and every lane was tried, with the result of each lane.
func (c *Client) Flush(ctx context.Context) (f console.Flushed, err error) {
	err = c.Call(ctx, http.MethodPost, "/-/flush", nil, &f)
	return f, err
}

// Reload makes the daemon read its configuration again; removed are services that are removed on purpose. It returns once that is
// in effect.
func (c *Client) Reload(ctx context.Context, removed []string) (r console.Reloaded, err error) {
	path := "/-/reload"
	if len(removed) > 0 {
		path += "?" + url.Values{"removed": removed}.Encode()
	}
	err = c.Call(ctx, http.MethodPost, path, nil, &r)
	return r, err
}

// Ledger returns the answer of GET /api/v1/ledger to a query.
func (c *Client) Ledger(ctx context.Context, query url.Values) (answer json.RawMessage, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/ledger?"+query.Encode(), nil, &answer)
	return answer, err
}
