package analytics

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// The shapes of answers, with their keys in the original's order.

type metricShape struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	SystemName string `json:"system_name"`
	Unit       string `json:"unit"`
}

// Period is how an answer repeats the range of its query.
type Period struct {
	Name        *string `json:"name"`
	Since       string  `json:"since"`
	Until       string  `json:"until"`
	Timezone    string  `json:"timezone"`
	Granularity any     `json:"granularity"` // text, but a number for six hours
}

// Echo is the range as an answer repeats it.
func (s *Span) Echo() Period {
	p := Period{Since: stamp(s.Since), Until: stamp(s.Until), Timezone: s.ZoneName, Granularity: string(s.Granularity)}
	if s.Period != "" {
		p.Name = &s.Period
	}
	if s.Granularity == SixHours {
		p.Granularity = 21600
	}
	return p
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

// percent always has a fraction.
type percent float64

// MarshalJSON implements json.Marshaler.
func (p percent) MarshalJSON() ([]byte, error) {
	if v := float64(p); v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.AppendFloat(nil, v, 'f', 1, 64), nil
	}
	return json.Marshal(float64(p))
}

type usageShape struct {
	Metric        metricShape       `json:"metric"`
	Period        Period            `json:"period"`
	Total         int64             `json:"total"`
	Values        []int64           `json:"values"`
	Application   *applicationShape `json:"application,omitempty"`
	PreviousTotal *int64            `json:"previous_total,omitempty"`
	Change        *percent          `json:"change,omitempty"`
}

type reference struct {
	ID   int64   `json:"id"`
	Name *string `json:"name,omitempty"`
	Link string  `json:"link,omitempty"`
}

type applicationShape struct {
	ID          int64     `json:"id"`
	Name        string    `json:"name"`
	State       string    `json:"state"`
	Link        string    `json:"link"`
	Description *string   `json:"description"`
	Plan        reference `json:"plan"`
	Account     reference `json:"account"`
	Service     reference `json:"service"`
}

func (a *Application) shape() *applicationShape {
	id := strconv.FormatInt(a.ID, 10)
	s := &applicationShape{
		ID: a.ID, Name: a.Name, State: a.State, Link: "/p/admin/applications/" + id,
		Plan:    reference{ID: a.PlanID, Name: &a.PlanName},
		Account: reference{ID: a.AccountID, Name: &a.AccountName},
		Service: reference{ID: a.ServiceID},
	}
	if a.AccountID != 0 {
		s.Account.Link = "/buyers/accounts/" + strconv.FormatInt(a.AccountID, 10)
	}
	return s
}

type topShape struct {
	Applications []topRow    `json:"applications"`
	Metric       metricShape `json:"metric"`
	Period       topPeriod   `json:"period"`
}

type topPeriod struct {
	Name  string `json:"name"`
	Since string `json:"since"`
	Until string `json:"until"`
}

type topRow struct {
	Name    string    `json:"name"`
	ID      int64     `json:"id"`
	Value   any       `json:"value"` // text in UTC, a number elsewhere
	Account reference `json:"account"`
	Plan    reference `json:"plan"`
	Service reference `json:"service"`

	total int64
}
