package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/internal/respond"
)

// mostDraft bounds the JSON of a draft in bytes.
const mostDraft = 64 << 10

// API serves the admin API's /api/v1/sources: the list, one source, its making and its end, and what its question answers now.
func (s *Store) API() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /api/v1/sources", func(w http.ResponseWriter, _ *http.Request) { respond.JSON(w, http.StatusOK, s.List()) })
	m.HandleFunc("GET /api/v1/sources.yaml", s.export)
	m.HandleFunc("GET /api/v1/sources/{name}", func(w http.ResponseWriter, r *http.Request) {
		_, _, state, err := s.find(r.PathValue("name"))
		if err != nil {
			respond.Problem(w, http.StatusNotFound, err.Error())
			return
		}
		respond.JSON(w, http.StatusOK, state)
	})
	m.HandleFunc("PUT /api/v1/sources/{name}", s.put)
	m.HandleFunc("DELETE /api/v1/sources/{name}", s.remove)
	m.HandleFunc("POST /api/v1/sources/{name}/test", s.test)
	m.HandleFunc("POST /api/v1/sources/preview", s.preview)
	return m
}

func (s *Store) export(w http.ResponseWriter, _ *http.Request) {
	text, err := s.Export()
	if err != nil {
		respond.Problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Content-Disposition", `attachment; filename="sources.yaml"`)
	_, _ = w.Write(text) // an error means that the client is gone
}

// Tested is the answer of a test, or of a preview.
type Tested struct {
	Name    string            `json:"name"`
	Took    float64           `json:"seconds"`
	Since   string            `json:"since,omitempty"`
	Until   string            `json:"until,omitempty"`
	Path    string            `json:"path,omitempty"`
	Columns []Column          `json:"columns"`
	Count   int               `json:"rows_in_all"`
	Rows    []json.RawMessage `json:"rows"` // the first twenty
}

const mostPreview = 20

func (s *Store) test(w http.ResponseWriter, r *http.Request) {
	src, _, _, err := s.find(r.PathValue("name"))
	if err != nil {
		respond.Problem(w, http.StatusNotFound, err.Error())
		return
	}
	s.answerNow(w, r, src)
}

// preview answers what a draft would answer, without keeping anything of it.
func (s *Store) preview(w http.ResponseWriter, r *http.Request) {
	d, _, ok := readBody(w, r)
	if !ok {
		return
	}
	if d.get("name") == nil {
		d.Set("name", "preview")
	}
	src, err := d.Source()
	if err != nil {
		respond.Problem(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	s.answerNow(w, r, src)
}

// answerNow asks now, and sends the first rows.
func (s *Store) answerNow(w http.ResponseWriter, r *http.Request, src *Source) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), mostTesting)
	defer cancel()
	sides := s.options.Sides()
	result, err := sides.Ask(ctx, src)
	var e *encoded
	if err == nil {
		e, err = encode(result)
	}
	if err != nil {
		respond.Problem(w, http.StatusBadGateway, err.Error())
		return
	}
	t := Tested{
		Name: src.Name, Took: time.Since(begun).Seconds(), Since: stamp(result.Since), Until: stamp(result.Until), Path: src.Query(begun),
		Columns: append([]Column{}, e.Columns...), Count: len(e.lines), Rows: []json.RawMessage{},
	}
	for _, line := range e.lines[:min(len(e.lines), mostPreview)] {
		t.Rows = append(t.Rows, line)
	}
	respond.JSON(w, http.StatusOK, t)
}

// readBody reads a draft, and whether a new reader's token is asked for. ok is false if it has answered.
func readBody(w http.ResponseWriter, r *http.Request) (d *Draft, newToken, ok bool) {
	// An old browser lets a page of another site post a form without a check, but not JSON.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		respond.Problem(w, http.StatusUnsupportedMediaType, "expected Content-Type application/json")
		return nil, false, false
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostDraft))
	var fields map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	newToken = string(fields["new_token"]) == "true"
	delete(fields, "new_token")
	if err == nil {
		text, _ = json.Marshal(fields) // it was JSON
		d, err = ReadDraft(text)
	}
	if err != nil {
		respond.Problem(w, http.StatusBadRequest, err.Error())
		return nil, false, false
	}
	return d, newToken, true
}

// saved is the answer of a PUT.
type saved struct {
	Source State  `json:"source"`
	Token  string `json:"token,omitempty"` // the reader's token that was made: it is shown once
}

func (s *Store) put(w http.ResponseWriter, r *http.Request) {
	d, newToken, ok := readBody(w, r)
	if !ok {
		return
	}
	d.Set("name", r.PathValue("name"))
	var answer saved
	if newToken {
		answer.Token = access.NewToken()
		digest := sha256.Sum256([]byte(answer.Token))
		d.Set("token_sha256", hex.EncodeToString(digest[:]))
	}
	if err := s.Save(d, r.Header.Get("If-None-Match") == "*"); err != nil {
		respond.Problem(w, statusOf(err), err.Error())
		return
	}
	_, _, answer.Source, _ = s.find(r.PathValue("name")) // another request may have removed it since
	respond.JSON(w, http.StatusOK, answer)
}

func (s *Store) remove(w http.ResponseWriter, r *http.Request) {
	if err := s.Remove(r.PathValue("name")); err != nil {
		respond.Problem(w, statusOf(err), err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// statusOf returns the status for an error of Save and Remove.
func statusOf(err error) int {
	var wrong *Invalid
	switch {
	case errors.Is(err, ErrUnknown):
		return http.StatusNotFound
	case errors.Is(err, ErrExists):
		return http.StatusPreconditionFailed
	case errors.Is(err, ErrNoFile):
		return http.StatusConflict
	case errors.As(err, &wrong):
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}
