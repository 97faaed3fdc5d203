package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/console"
	usage "github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// longID is as long as an application id of 3scale often is.
var longID = strings.Repeat("0123456789abcdef", 4)

var moment = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// screenConsole is the admin API of a daemon that always has the same to say.
func screenConsole(t *testing.T) string {
	t.Helper()
	letter := json.RawMessage(`{"id":"000000042000-0007-0003","created_at":"2026-11-21T12:00:00Z","service_id":"1001","app_id":"` + longID + `",
		"usage":{"hits":3,"orders":1},"events":3,"timestamp":"2026-11-21T11:00:00Z","reason":{"code":"application_not_found","message":"application with id=\"x\" was not found"},
		"answer":{"status":404,"code":"application_not_found"},"attempts":1}`)
	parked := console.Parked{ID: "000000042000-0009", ServiceID: "1002", Events: 5, Attempts: 2, Ambiguous: 1, LastAttempt: moment, SealedAt: moment.Add(-time.Second),
		Transactions: []console.ParkedTransaction{
			{AppID: "app1", Usage: map[string]uint64{"hits": 4}, Timestamp: moment, Events: 4},
			{UserKey: "user_key:0123456789ab", Usage: map[string]uint64{"hits": 1}, Timestamp: moment, ResponseCode: 200, Events: 1},
		}}
	o := console.Options{
		Build: console.Build{Version: "1.2.3"}, Started: time.Now().Add(-3*time.Hour - time.Minute/2),
		Snapshot: func(int) console.Snapshot { return screenSnapshot }, Ready: func() error { return nil },
		Flush: func(context.Context) ([]console.FlushedLane, error) {
			return []console.FlushedLane{
				{ServiceID: "1001", Result: "delivered", State: "flowing"},
				{ServiceID: "1002", Result: "parked", State: "parked", Batches: 1, Events: 5, Parked: 1},
				{ServiceID: "1003", Result: "failed", State: "held", Batches: 2, Events: 1200, LastError: "service_token_invalid"},
				{ServiceID: "1004", PassedOn: true, Result: "not tried", State: "retrying", Batches: 1, Events: 1, LastError: "connection"},
			}, nil
		},
		Reload: func(removed []string) (console.Reloaded, error) {
			if len(removed) > 0 {
				return console.Reloaded{}, errors.New("reporterd.yaml:7: services: the file looks cut off")
			}
			return console.Reloaded{Applied: []string{"log.level", "services"}, NeedsRestart: []string{"stop_timeout"}}, nil
		},
		DeadLetters: func(_ context.Context, q console.DeadLetterQuery) (console.DeadLetters, error) {
			if q.Reason == "nosuch" {
				return console.DeadLetters{}, nil
			}
			return console.DeadLetters{Letters: []json.RawMessage{letter}}, nil
		},
		DeadLetter: func(_ context.Context, id string) (json.RawMessage, error) {
			if id != "000000042000-0007-0003" {
				return nil, console.ErrNoDeadLetter
			}
			return letter, nil
		},
		Parking: console.Parking{
			List: func(context.Context, string, int) ([]console.Parked, error) { return []console.Parked{parked}, nil },
			One: func(_ context.Context, id string) (console.Parked, error) {
				if id != parked.ID {
					return console.Parked{}, console.ErrNotParked
				}
				return parked, nil
			},
			Settle: func(context.Context, string, string) error { return nil },
		},
		Names: func(context.Context) (console.Names, error) {
			return console.Names{Services: []string{"1001", "1002", "1003", "1004"}, Reasons: []string{"application_not_found", "expired"}}, nil
		},
		Routes: append(screenSources(t), []console.Route{
			{Pattern: "GET /api/v1/ledger", Handler: answering(t, `{"since":"2026-11-14T00:00:00Z","until":"2026-11-21T13:00:00Z","by":"day","rows":[
				{"time":"2026-11-20T00:00:00Z","service_id":"1001","app_id":"app1","metric":"hits","accepted":1204,"delivered":1200,"ambiguous":0,"dead":4,"pending":0},
				{"time":"2026-11-21T00:00:00Z","service_id":"1001","app_id":"app1","metric":"hits","accepted":37,"delivered":30,"ambiguous":5,"dead":0,"pending":7}]}`)},
			{Pattern: "POST /api/v1/reconcile", Handler: answering(t, `{"enabled":true,"portal":"https://acme-admin.3scale.net","sealed_through":"2026-11-20T12:00:00Z","calls":3,
				"cells":[{"service_id":"1001","app_id":"app1","metric":"hits","hour":"2026-11-20T11:00:00Z","delivered":1200,"counted":1100,"delta":-100,"verdict":"short","final":true}],
				"summary":{"short":1,"match":71}}`)},
		}...),
	}
	s := httptest.NewServer(console.New(o))
	t.Cleanup(s.Close)
	return s.URL
}

func answering(t *testing.T, text string) http.Handler {
	require.True(t, json.Valid([]byte(text)))
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
}

var screenSnapshot = console.Snapshot{
	Events:  console.Events{Accepted: 1_048_576, Duplicates: 7, Delivered: 1_047_000, Dead: 6, Pending: 1566, Ambiguous: 5, Lost: 4},
	Spool:   console.Spool{Bytes: 112 << 20, Quota: 10 << 30, Free: 9 << 30, Batches: 4, OldestAge: 3*time.Hour + 25*time.Minute, DeadLetters: 6},
	Reports: console.Reports{Calls: 1204, Transactions: 37_000, Limit: 8},
	Lanes: []console.Lane{
		{ServiceID: "1001", State: "flowing", Batches: 1, Events: 360, OldestAge: 2100 * time.Millisecond, Questioned: 1, Probation: 12 * time.Second},
		{ServiceID: "1002", State: "parked", Batches: 1, Events: 5, OldestAge: 3 * time.Hour, Parked: 1, ParkedEvents: 5},
		{ServiceID: "1003", State: "held", Batches: 2, Events: 1200, OldestAge: 3*time.Hour + 25*time.Minute, LastError: "service_token_invalid"},
		{ServiceID: "1004", PassedOn: true, State: "retrying", Batches: 1, Events: 1, OldestAge: 65 * time.Second, LastError: "connection"},
	},
	Services: []console.Service{{ID: "1001", Ended: console.Ended{Delivered: 890, Dead: 6}}, {ID: "1002"}, {ID: "1003"}},
}

// screenTraffic is a traffic listener that takes what is for service 1001.
func screenTraffic(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if strings.Contains(string(text), "nosuch") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = w.Write([]byte(`{"status":422,"detail":"1 of 3 events","errors":[{"index":2,"field":"service_id","detail":"\"nosuch\" is not configured"}],"total":1}`))
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, `{"accepted":%d,"duplicates":0}`, strings.Count(string(text), "\n"))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// screenSpool is a data directory with a batch and an event that is in none.
func screenSpool(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	s, _, err := spool.Open(spool.Options{Dir: dir})
	require.NoError(t, err)
	of := func(app string) usage.Event {
		return usage.Event{ServiceID: "1001", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: app}, Timestamp: moment.Unix(), Usage: threescale.Usage{{Metric: "hits", Value: 3}},
		}}
	}
	_, err = s.Append(t.Context(), []usage.Event{of(longID)})
	require.NoError(t, err)
	cut, err := s.BeginCut(1)
	require.NoError(t, err)
	one := of(longID)
	require.NoError(t, cut.Add(&spool.Batch{Lane: spool.LaneKey{ServiceID: "1001"}, Transactions: []spool.Transaction{{Transaction: one.Transaction, Events: 1}}}))
	require.NoError(t, cut.Commit(0))
	_, err = s.Append(t.Context(), []usage.Event{of("app2")})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	return dir
}

// TestScreens: what each command shows on a terminal of 80 columns, colours and questions included. The files are there to be
// looked at: a change of one is a change that a person sees.
func TestScreens(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	for _, name := range []string{"REPORTERD_CONFIG", "REPORTERD_ADMIN_TOKEN", "REPORTERD_TOKEN"} {
		t.Setenv(name, "")
	}
	work := t.TempDir()
	t.Chdir(work)
	api, traffic, dir := screenConsole(t), screenTraffic(t), screenSpool(t)
	portal := httptest.NewServer(sandbox.New(sandbox.Options{Now: func() time.Time { return moment }}))
	t.Cleanup(portal.Close)
	for name, text := range map[string]string{
		"token": sandbox.AccessToken, "bad.yaml": "lisen: x\nbatch: {flush_interval: 5}\n", "good.yaml": "services: [{id: \"1001\", token: t}]\n",
		"events.ndjson":      strings.Repeat(`{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`+"\n", 3),
		"refused.ndjson":     strings.Repeat(`{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`+"\n", 2) + `{"service_id":"nosuch","app_id":"app1","usage":{"hits":1}}` + "\n",
		"wrong-sources.yaml": "sources:\n  - {name: top, question: top_application, service: \"1001\"}\n",
		"broken.ndjson":      `{"service_id":"1001"` + "\n",
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	replace := strings.NewReplacer(api, "http://127.0.0.1:7071", traffic, "http://127.0.0.1:7070", portal.URL, "http://127.0.0.1:7072", dir, "/var/lib/reporterd", work, "/work")
	shown := map[string]bool{}
	for _, s := range screens {
		t.Run(s.name, func(t *testing.T) {
			args := strings.Fields(strings.NewReplacer("API", api, "TRAFFIC", traffic, "PORTAL", portal.URL, "DIR", dir).Replace(s.line))
			screen, status := onTerminal(t, args...)
			assert.Equal(t, s.status, status, screen)
			golden := filepath.Join(sourceDir, "testdata", "screens", s.name+".txt")
			require.False(t, shown[golden], "two screens of one name")
			shown[golden] = true
			got := "$ reporterd " + strings.NewReplacer("API", "http://127.0.0.1:7071", "TRAFFIC", "http://127.0.0.1:7070", "PORTAL", "http://127.0.0.1:7072", "DIR", "/var/lib/reporterd").Replace(s.line) +
				"\n" + visible(replace.Replace(screen))
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got)
			for line := range strings.Lines(escapes.ReplaceAllString(settled(screen), "")) {
				if !s.long && !strings.Contains(line, longID) {
					assert.LessOrEqual(t, utf8.RuneCountInString(replace.Replace(strings.TrimRight(line, "\n"))), 80, line)
				}
			}
		})
	}
}

// sourceDir is the directory of this package: a test changes the working directory.
var sourceDir, _ = os.Getwd()

var (
	escapes = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")
	stamps  = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	clocks  = regexp.MustCompile(`(?m)^(\S*)\d\d:\d\d:\d\dZ`)
	random  = regexp.MustCompile(`send-[0-9A-Z]{16}`)
	present = regexp.MustCompile(`2026-11-21T1[12]:`)
)

// visible makes escape sequences readable, and what differs from run to run the same.
func visible(screen string) string {
	screen = settled(screen)
	screen = stamps.ReplaceAllStringFunc(screen, func(s string) string {
		if present.MatchString(s) {
			return s
		}
		return "2026-01-02T03:04:05Z"
	})
	screen = clocks.ReplaceAllString(screen, "${1}03:04:05Z")
	screen = random.ReplaceAllString(screen, "send-0123456789ABCDEF")
	return strings.NewReplacer("\x1b[H\x1b[2J", "{clear}", "\x1b[32m", "{green}", "\x1b[33m", "{yellow}", "\x1b[31m", "{red}", "\x1b[0m", "{}").Replace(screen)
}

// settled is a screen without the progress that was drawn and cleared again: how often that was depends on the time.
func settled(screen string) string {
	parts := strings.Split(screen, "\r\x1b[K")
	kept := parts[0]
	for i, part := range parts[1:] {
		if strings.Contains(part, "\n") || i == len(parts)-2 {
			kept += part
		}
	}
	return kept
}
