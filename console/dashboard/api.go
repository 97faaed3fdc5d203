package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/console/source"
	"github.com/reporterd/reporterd/internal/respond"
)

// Listed is a dashboard in the list.
type Listed struct {
	Name      string `json:"name"`
	Title     string `json:"title"`
	Tiles     int    `json:"tiles"`
	Token     bool   `json:"token"`     // it has a reader's token
	Automatic bool   `json:"automatic"` // made for a service, not saved
}

// Operators serves what only operators may do: the list (scope read), saving and removing (scope write). The caller checks the scope.
func (s *Store) Operators() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /api/v1/dashboards", s.list)
	m.HandleFunc("PUT /api/v1/dashboards/{name}", s.put)
	m.HandleFunc("DELETE /api/v1/dashboards/{name}", s.delete)
	return m
}

// Readers serves a dashboard and the figures of its tiles, to its own token, and with operators to theirs with the scope read, too. It
// checks the token: a name that no dashboard has gets the same answer as a wrong token.
func (s *Store) Readers(operators bool) http.Handler {
	m := http.NewServeMux()
	for pattern, show := range map[string]func(http.ResponseWriter, *http.Request, *Dashboard){
		"GET /api/v1/dashboards/{name}": s.get, "GET /api/v1/dashboards/{name}/tiles/{tile}": s.tile,
	} {
		m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if d := s.admit(w, r, operators); d != nil {
				show(w, r, d)
			}
		})
	}
	return m
}

func (s *Store) list(w http.ResponseWriter, _ *http.Request) {
	page := struct {
		Dashboards []Listed `json:"dashboards"`
	}{[]Listed{}}
	for _, d := range s.all() {
		page.Dashboards = append(page.Dashboards, Listed{d.Name, d.Title, len(d.Tiles), d.TokenSHA256 != "", !s.isSaved(d.Name)})
	}
	respond.JSON(w, http.StatusOK, page)
}

// admit returns the dashboard that a request names, if its token opens it; otherwise it answers.
func (s *Store) admit(w http.ResponseWriter, r *http.Request, operators bool) *Dashboard {
	d, err := s.find(r.PathValue("name"))
	token := access.Bearer(r)
	if err == nil && d.opens(token) {
		return d
	}
	operator := false
	if operators {
		grant, refused := s.options.Operators.Find(token)
		operator = refused == nil && grant.May(access.Read)
	}
	switch {
	case operator && err == nil:
		return d
	case operator:
		respond.Problem(w, http.StatusNotFound, err.Error())
	case token == "":
		w.Header().Set("WWW-Authenticate", `Bearer realm="reporterd"`)
		respond.Problem(w, http.StatusUnauthorized, "a token is needed: the dashboard's, or an operator's")
	default:
		respond.Problem(w, http.StatusForbidden, "the token does not open this dashboard")
	}
	return nil
}

func (s *Store) get(w http.ResponseWriter, _ *http.Request, d *Dashboard) {
	shown := *d
	shown.TokenSHA256 = "" // of no use to readers
	respond.JSON(w, http.StatusOK, &shown)
}

// tile answers with the figures of a tile, for the range of the query.
func (s *Store) tile(w http.ResponseWriter, r *http.Request, d *Dashboard) {
	n, err := strconv.Atoi(r.PathValue("tile"))
	if err != nil || n < 0 || n >= len(d.Tiles) {
		respond.Problem(w, http.StatusNotFound, "the dashboard has no such tile")
		return
	}
	q := r.URL.Query()
	asked := source.Range{Since: q.Get("since"), Until: q.Get("until"), By: q.Get("by"), Timezone: q.Get("timezone"), Before: q.Get("before") == "true"}
	t := &d.Tiles[n]
	var v *source.View
	if t.Source != "" {
		v, err = s.options.Sources.Look(r.Context(), t.Source, asked)
	} else {
		v, err = s.options.Sources.LookAt(r.Context(), t.asked, asked)
	}
	switch {
	case err == nil && source.Unchanged(r, v.Tag()):
		w.Header().Set("ETag", v.Tag())
		w.WriteHeader(http.StatusNotModified)
	case err == nil:
		w.Header().Set("ETag", v.Tag())
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(v.JSON()) // an error means that the client is gone
	case errors.Is(err, source.ErrUnknown):
		respond.Problem(w, http.StatusNotFound, "there is no source "+t.Source)
	case errors.Is(err, source.ErrRange):
		respond.Problem(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, source.ErrNoAnswer):
		w.Header().Set("Retry-After", "30")
		respond.Problem(w, http.StatusServiceUnavailable, err.Error())
	default:
		respond.Problem(w, http.StatusBadGateway, err.Error())
	}
}

// readBody reads what a PUT sends: a dashboard, and whether a new reader's token is asked for.
func readBody(w http.ResponseWriter, r *http.Request) (d *Dashboard, newToken, ok bool) {
	// An old browser lets a page of another site post a form without a check, but not JSON.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		respond.Problem(w, http.StatusUnsupportedMediaType, "expected Content-Type application/json")
		return nil, false, false
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBytes))
	var fields map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	if err == nil && fields == nil {
		err = errors.New("dashboard: expected a JSON object")
	}
	if err != nil {
		respond.Problem(w, http.StatusBadRequest, err.Error())
		return nil, false, false
	}
	newToken = string(fields["new_token"]) == "true"
	delete(fields, "new_token")
	fields["name"], _ = json.Marshal(r.PathValue("name")) // a string: it cannot fail
	text, _ = json.Marshal(fields)                        // it was JSON
	if d, err = Read(text); err != nil {
		respond.Problem(w, http.StatusUnprocessableEntity, err.Error())
		return nil, false, false
	}
	return d, newToken, true
}

func (s *Store) put(w http.ResponseWriter, r *http.Request) {
	d, newToken, ok := readBody(w, r)
	if !ok {
		return
	}
	answer := struct {
		Name  string `json:"name"`
		Token string `json:"token,omitempty"` // the reader's token that was made: it is shown once
	}{Name: d.Name}
	if newToken {
		answer.Token = access.NewToken()
		digest := sha256.Sum256([]byte(answer.Token))
		d.TokenSHA256 = hex.EncodeToString(digest[:])
	}
	if err := s.save(d, r.Header.Get("If-None-Match") == "*"); err != nil {
		respond.Problem(w, statusOf(err), err.Error())
		return
	}
	respond.JSON(w, http.StatusOK, answer)
}

func (s *Store) delete(w http.ResponseWriter, r *http.Request) {
	if err := s.remove(r.PathValue("name")); err != nil {
		respond.Problem(w, statusOf(err), err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrUnknown):
		return http.StatusNotFound
	case errors.Is(err, ErrExists):
		return http.StatusPreconditionFailed
	case errors.Is(err, ErrAutomatic):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}
