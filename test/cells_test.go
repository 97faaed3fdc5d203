package test

import (
	"encoding/csv"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cell names one cell of the daemon's ledger: what was reported, in the UTC hour of its timestamp.
type cell struct {
	key
	hour string
}

type cells map[cell]uint64

// userKeyName is the ledger's name of the sandbox's user key ukey1 while the daemon does not know that it belongs to appuk.
const userKeyName = "user_key:ee476c78f722"

// readCells are the cells of a report, without what its metrics' parents count.
func readCells(body []byte) cells {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	all := cells{}
	for name, values := range form {
		index, rest, ok := strings.Cut(strings.TrimPrefix(name, "transactions["), "]")
		metric, usage := strings.CutPrefix(rest, "[usage][")
		if !ok || !usage {
			continue
		}
		prefix := "transactions[" + index + "]"
		app := form.Get(prefix + "[app_id]")
		if form.Get(prefix+"[user_key]") == "ukey1" {
			app = "appuk" // its id in the sandbox: the ledger has one name for one application
		}
		stamp, _ := strconv.ParseInt(form.Get(prefix+"[timestamp]"), 10, 64)
		at := time.Unix(stamp, 0)
		value, _ := strconv.ParseUint(values[0], 10, 64)
		all[cell{key{form.Get("service_id"), app, strings.TrimSuffix(metric, "]")}, at.UTC().Truncate(time.Hour).Format(time.RFC3339)}] += value
	}
	return all
}

// cells are what the daemon's ledger says was delivered.
func (d *daemon) cells() cells {
	d.t.Helper()
	text := mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/ledger?format=csv&expand=false&since=2000-01-01&until=2100-01-01", nil).body
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(d.t, err)
	all := cells{}
	for _, r := range rows[1:] {
		delivered, err := strconv.ParseInt(r[5], 10, 64)
		require.NoError(d.t, err)
		accepted, err := strconv.ParseInt(r[4], 10, 64)
		require.NoError(d.t, err)
		assert.Equal(d.t, r[4], r[5], "accepted is delivered, once nothing is pending: %v", r)
		if r[2] == userKeyName { // a kill before the daemon had written down whose it is: its rows are merged when 3scale says so again
			r[2] = "appuk"
		}
		if delivered != 0 || accepted != 0 {
			all[cell{key{r[1], r[2], r[3]}, r[0]}] += uint64(delivered)
		}
	}
	return all
}

// booked waits until the ledger has read everything.
func (d *daemon) booked() {
	d.t.Helper()
	eventually(d.t, 20*time.Second, "the ledger has booked everything", func() bool {
		return strings.Contains(metrics(d), "\nreporterd_ledger_behind_records 0\n")
	})
}

// balance holds the ledger against what landed, each report once: cell by cell.
func (w *witness) balance(t *testing.T, d *daemon) {
	t.Helper()
	d.booked()
	landed := cells{}
	w.mu.Lock()
	for _, s := range w.reports {
		for _, a := range s.attempts {
			if a.landed {
				for c, n := range s.cells {
					landed[c] += n
				}
				break
			}
		}
	}
	w.mu.Unlock()
	maps.DeleteFunc(landed, func(_ cell, n uint64) bool { return n == 0 })
	booked := d.cells()
	wrong := 0
	for c, n := range landed {
		if booked[c] != n {
			wrong++
			t.Errorf("the ledger has %d delivered in %v, %d landed", booked[c], c, n)
		}
		if wrong > 10 {
			break
		}
	}
	assert.Len(t, booked, len(landed), "cells of the ledger")
	assert.True(t, strings.Contains(metrics(d), "\nreporterd_ledger_missed 0\n"), "the ledger says that it missed something")
}
