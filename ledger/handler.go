package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/internal/respond"
	"github.com/reporterd/reporterd/internal/spreadsheet"
	"github.com/reporterd/reporterd/internal/timespec"
)

const (
	defaultLimit = 1000
	mostLimit    = 10_000
	defaultSpan  = 72 * time.Hour
)

// page is the answer to GET /api/v1/ledger.
type page struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	By     By        `json:"by"`
	Missed bool      `json:"missed,omitempty"` // some usage is missing from the figures

	Receipts bool `json:"receipts,omitempty"` // a service has receipts: what is delivered there is what 3scale counted

	Rows []pageRow `json:"rows"`
	Next string    `json:"next,omitempty"`
}

type pageRow struct {
	Time      time.Time `json:"time"`
	ServiceID string    `json:"service_id,omitempty"`
	AppID     string    `json:"app_id,omitempty"`
	Metric    string    `json:"metric,omitempty"`
	Accepted  int64     `json:"accepted"`
	Delivered int64     `json:"delivered"`
	Ambiguous int64     `json:"ambiguous"`
	Dead      int64     `json:"dead"`
	Restamped int64     `json:"restamped"`
	Lost      int64     `json:"lost"`
	Pending   int64     `json:"pending"`

	// With receipts: of pending, what 3scale accepted and has not counted yet, and of delivered, what it did not count whole and once.
	Sent        int64 `json:"sent"`
	Partial     int64 `json:"partial"`
	Double      int64 `json:"double"`
	Unconfirmed int64 `json:"unconfirmed"`
}

var columns = []string{"time", "service_id", "app_id", "metric", "accepted", "delivered", "ambiguous", "dead", "restamped", "lost", "pending", "sent", "partial", "double", "unconfirmed"}

func newPageRow(r *Row) pageRow {
	return pageRow{
		r.Time, r.ServiceID, r.AppID, r.Metric, r.Accepted, r.Delivered, r.Ambiguous, r.Dead, r.Restamped, r.Lost, r.Pending(),
		r.Sent, r.Partial, r.Double, r.Unconfirmed,
	}
}

func (r *pageRow) fields() []string {
	out := []string{r.Time.Format(time.RFC3339), spreadsheet.Text(r.ServiceID), spreadsheet.Text(r.AppID), spreadsheet.Text(r.Metric)}
	for _, n := range [...]int64{r.Accepted, r.Delivered, r.Ambiguous, r.Dead, r.Restamped, r.Lost, r.Pending, r.Sent, r.Partial, r.Double, r.Unconfirmed} {
		out = append(out, strconv.FormatInt(n, 10))
	}
	return out
}

// request is a query with the parameters of the answer's form.
type request struct {
	Query
	skip, limit int
	csv         bool
}

// ServeHTTP answers GET /api/v1/ledger.
func (l *Ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) { serve(l, w, r) }

// serve answers GET /api/v1/ledger from one ledger, or from those of all partitions.
func serve(b Book, w http.ResponseWriter, r *http.Request) {
	q, err := parse(r, time.Now())
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if q.csv {
		sendCSV(b, w, q)
		return
	}
	reach, err := b.Reach()
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	answer := page{Since: q.Since, Until: q.Until, By: q.By, Missed: reach.Missed, Receipts: reach.Receipts, Rows: []pageRow{}}
	n, last := 0, position{}
	q.most = q.skip + q.limit + 1 // one page is read in one transaction
	err = b.Rows(q.Query, func(row *Row) error {
		if n++; n <= q.skip {
			return nil
		}
		if len(answer.Rows) == q.limit {
			answer.Next = q.next(last)
			return errEnough
		}
		last = row.at
		answer.Rows = append(answer.Rows, newPageRow(row))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		refuse(w, statusOf(err), err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

var errEnough = errors.New("enough")

func statusOf(err error) int {
	if errors.Is(err, ErrTooMany) || errors.Is(err, errCursor) {
		return http.StatusBadRequest
	}
	if errors.Is(err, ErrUnchecked) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrApart) {
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// sendCSV sends all rows. An error after the first row aborts the connection, so that no client takes a part for the whole.
func sendCSV(b Book, w http.ResponseWriter, q request) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="ledger.csv"`)
	out := csv.NewWriter(w)
	begun := false
	err := b.Rows(q.Query, func(row *Row) error {
		if !begun {
			begun = true
			if err := out.Write(columns); err != nil {
				return err
			}
		}
		r := newPageRow(row)
		return out.Write(r.fields())
	})
	switch {
	case err != nil && !begun:
		w.Header().Del("Content-Disposition")
		refuse(w, statusOf(err), err)
		return
	case err != nil:
		panic(http.ErrAbortHandler)
	case !begun:
		_ = out.Write(columns)
	}
	out.Flush()
}

func refuse(w http.ResponseWriter, status int, err error) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	respond.Problem(w, status, err.Error())
}

var parameters = []string{"service_id", "app_id", "metric", "since", "until", "by", "group", "cursor", "limit", "expand", "format"}

// parse reads the parameters. An error names the parameter and what was expected.
func parse(r *http.Request, now time.Time) (q request, err error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, fmt.Errorf("query: %w", err)
	}
	for name := range v {
		if !slices.Contains(parameters, name) {
			return q, fmt.Errorf("%s: unknown parameter: expected one of %s", name, strings.Join(parameters, ", "))
		}
	}
	q.ServiceID, q.AppID, q.Metric = v.Get("service_id"), v.Get("app_id"), v.Get("metric")
	q.Until = now.UTC().Truncate(time.Hour).Add(time.Hour)
	if q.Until, err = moment(v, "until", now, q.Until); err != nil {
		return q, err
	}
	if q.Since, err = moment(v, "since", now, q.Until.Add(-defaultSpan)); err != nil {
		return q, err
	}
	switch q.By = By(v.Get("by")); q.By {
	case "":
		q.By = ByHour
	case ByHour, ByDay, ByMonth:
	default:
		return q, fmt.Errorf("by: %q: expected hour, day or month", q.By)
	}
	switch v.Get("expand") {
	case "", "true":
	case "false":
		q.Raw = true
	default:
		return q, fmt.Errorf("expand: %q: expected true or false", v.Get("expand"))
	}
	if err := q.group(v); err != nil {
		return q, err
	}
	return q, q.form(v, r)
}

// group sets the columns of the rows; other columns are summed up.
func (q *request) group(v url.Values) error {
	if !v.Has("group") {
		return nil
	}
	q.AllServices, q.AllApplications, q.AllMetrics = true, true, true
	for _, name := range strings.Split(v.Get("group"), ",") {
		switch strings.TrimSpace(name) {
		case "service_id":
			q.AllServices = false
		case "app_id":
			q.AllApplications = false
		case "metric":
			q.AllMetrics = false
		case "":
		default:
			return fmt.Errorf("group: %q: expected a list of service_id, app_id and metric", name)
		}
	}
	return nil
}

func (q *request) form(v url.Values, r *http.Request) (err error) {
	q.csv = v.Get("format") == "csv" || v.Get("format") == "" && strings.Contains(r.Header.Get("Accept"), "text/csv")
	if f := v.Get("format"); f != "" && f != "csv" && f != "json" {
		return fmt.Errorf("format: %q: expected json or csv", f)
	}
	q.limit = defaultLimit
	if v.Has("limit") {
		if q.limit, err = strconv.Atoi(v.Get("limit")); err != nil || q.limit < 1 || q.limit > mostLimit {
			return fmt.Errorf("limit: %q: expected a number from 1 to %d", v.Get("limit"), mostLimit)
		}
	}
	if text := v.Get("cursor"); text != "" && !q.parseCursor(text) {
		return fmt.Errorf("cursor: %q: expected the value of next from the previous answer", text)
	}
	return nil
}

// next returns the cursor of the next page: the position of the last row, so that usage booked in between does not matter; for
// summed rows, the number of rows so far.
func (q *request) next(last position) string {
	var numbers []byte
	if q.summed() {
		numbers = binary.AppendUvarint(nil, uint64(q.skip+q.limit))
	} else {
		for _, n := range [...]uint64{uint64(last.day), uint64(last.service), uint64(last.app), uint64(last.metric), uint64(last.time)} {
			numbers = binary.AppendUvarint(numbers, n)
		}
		if last.instance != 0 {
			numbers = binary.AppendUvarint(binary.AppendUvarint(numbers, uint64(last.partition)), last.instance)
		}
	}
	return base64.RawURLEncoding.EncodeToString(numbers)
}

// parseCursor decodes the result of next. It returns false if the text is something else.
func (q *request) parseCursor(text string) bool {
	data, err := base64.RawURLEncoding.DecodeString(text)
	d := reader{data: data}
	if q.summed() {
		q.skip = int(d.unsigned())
		return err == nil && !d.bad && len(d.data) == 0 && q.skip > 0
	}
	p := position{row: row{uint32(d.unsigned()), uint32(d.unsigned()), uint32(d.unsigned())}, metric: uint32(d.unsigned()), time: int64(d.unsigned())}
	if len(d.data) > 0 {
		p.partition, p.instance = int(d.unsigned()), d.unsigned()
	}
	q.after = &p
	return err == nil && !d.bad && len(d.data) == 0
}

// moment reads a point in time in UTC. A relative time is truncated to the hour, since rows are by hour.
func moment(v url.Values, name string, now, otherwise time.Time) (time.Time, error) {
	text := v.Get(name)
	if text == "" {
		return otherwise, nil
	}
	if t, err := timespec.At(text, now, time.UTC); err == nil {
		if timespec.IsRelative(text) {
			t = t.Truncate(time.Hour)
		}
		return t.UTC(), nil
	}
	return otherwise, fmt.Errorf("%s: %q: expected a time such as 2026-02-01T00:00:00Z, a day, or how long ago, such as 72h", name, text)
}
