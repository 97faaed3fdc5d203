package ingest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// salvaged is what a Splitter makes of a message: the application ids of what is taken, and the payloads of what is not.
func salvaged(t *testing.T, m Message, maxEvents int) (taken []string, ids []string, rejected []string) {
	t.Helper()
	h := NewHandler(Options{Services: []Service{{ID: "1001"}}, MaxEvents: maxEvents})
	s := h.NewBundle().Split(m)
	require.NoError(t, s.Reject(func(r Rejected) error {
		assert.LessOrEqual(t, len(r.Payload), maxRejected)
		assert.NotEmpty(t, r.Why.Detail)
		rejected = append(rejected, string(r.Payload))
		return nil
	}))
	for s.Next() {
		for _, e := range s.bundle.events {
			taken, ids = append(taken, strings.Clone(e.Application.ID)), append(ids, strings.Clone(e.ID))
		}
	}
	assert.Equal(t, len(taken), s.Taken())
	return taken, ids, rejected
}

// TestSalvageTakesOrKeepsEveryEvent: any mixture of good and bad events, in every form, however few fit into one part.
func TestSalvageTakesOrKeepsEveryEvent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	bad := []string{`7`, `"x"`, `{}`, `null`, `[]`, `{"app_id":"a","usage":{"hits":-1}}`, `{"app_id":"a","usage":{"h":1},"service_id":"2"}`,
		`{"app_id":"` + strings.Repeat("x", 70_000) + `","usage":{"h":1.5}}`, `{"app_id":"` + strings.Repeat("ö", 130_000) + `","usage":{"h":[]}}`}
	for round := range 30 {
		n := 1 + random.IntN(30)
		var events, wantTaken, wantIDs, wantRejected []string
		for i := range n {
			if random.IntN(3) == 0 {
				events = append(events, bad[random.IntN(len(bad))])
				wantRejected = append(wantRejected, events[i])
				continue
			}
			app := fmt.Sprint("app", i)
			wantTaken = append(wantTaken, app)
			if id := fmt.Sprint("m/", i); n > 1 {
				wantIDs = append(wantIDs, id)
			} else {
				wantIDs = append(wantIDs, "m")
			}
			events = append(events, `{"app_id":"`+app+`", "usage": {"hits":1}}`)
		}
		for kind, body := range map[string]string{
			"application/json":     " [ " + strings.Join(events, " , ") + " ] ",
			"application/x-ndjson": "\n" + strings.Join(events, " \r\n\n") + "\n",
		} {
			taken, ids, rejected := salvaged(t, Message{ServiceID: "1001", ID: "m", ContentType: kind, Body: []byte(body)}, 1+random.IntN(7))
			require.Equal(t, wantTaken, taken, "round %d: %s", round, kind)
			require.Equal(t, wantIDs, ids)
			require.Equal(t, strings.Join(wantRejected, ""), strings.ReplaceAll(strings.Join(rejected, ""), "\n", ""))
		}
	}
}

// TestSalvageOfWhatIsNoJSON: an array is kept whole; of lines the wrong ones.
func TestSalvageOfWhatIsNoJSON(t *testing.T) {
	good := `{"app_id":"a","usage":{"hits":1}}`
	for body, want := range map[string][]string{
		"":                           {""},
		"[" + good:                   {"[" + good},
		"[" + good + "] x":           {"[" + good + "] x"},
		good + good:                  {good + good},
		strings.Repeat("y", 250_000): {strings.Repeat("y", maxRejected), strings.Repeat("y", maxRejected), strings.Repeat("y", 250_000-2*maxRejected)},
	} {
		taken, _, rejected := salvaged(t, Message{ServiceID: "1001", Body: []byte(body)}, 100)
		assert.Empty(t, taken)
		assert.Equal(t, want, rejected)
	}
	lines := good + "\n{\"app_id\":\n" + good + " " + good + "\nnonsense\n" + good
	taken, _, rejected := salvaged(t, Message{ServiceID: "1001", ContentType: "application/x-ndjson", Body: []byte(lines)}, 100)
	assert.Len(t, taken, 2)
	assert.Equal(t, []string{"{\"app_id\":\n" + good + " " + good + "\nnonsense\n"}, rejected)
	taken, _, rejected = salvaged(t, Message{ServiceID: "1001", ContentType: "text/plain", Body: []byte(good)}, 100)
	assert.Empty(t, taken)
	assert.Equal(t, []string{good}, rejected)
}
