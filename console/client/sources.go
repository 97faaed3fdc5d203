package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/reporterd/reporterd/console/source"
)

// Sources returns all sources in the order of their file.
func (c *Client) Sources(ctx context.Context) (l source.List, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/sources", nil, &l)
	return l, err
}

// Source returns one source.
func (c *Client) Source(ctx context.Context, name string) (s source.State, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/sources/"+url.PathEscape(name), nil, &s)
	return s, err
}

// TestSource has the question of a source asked now. The error is a *Refusal with the reason if it is not answered.
func (c *Client) TestSource(ctx context.Context, name string) (t source.Tested, err error) {
	err = c.Call(ctx, http.MethodPost, "/api/v1/sources/"+url.PathEscape(name)+"/test", nil, &t)
	return t, err
}

// Answer returns the last good answer of a source as json, csv or ndjson.
func (c *Client) Answer(ctx context.Context, name, extension string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/sources/"+url.PathEscape(name)+"."+extension, nil)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, &Unreachable{c.shown, c.hint, err}
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer of %s: %w", c.shown, err)
	case answer.StatusCode == http.StatusOK:
		return text, nil
	}
	var problem struct{ Detail string }
	if json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return nil, c.unexpected(answer.Status)
	}
	return nil, &Refusal{Status: answer.StatusCode, Detail: problem.Detail}
}
