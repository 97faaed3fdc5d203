package daemon

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/threescale"
)

const (
	lettersRead = 1000 // dead letters that are read to collect their reasons
	lanesNamed  = 100  // lanes of services that are not configured, to collect their names
)

// Reasons are the usual codes of dead letters: 3scale's about a transaction, the sender's, and those of messages that could not
// be decoded.
var Reasons = []string{
	threescale.CodeApplicationNotFound, threescale.CodeApplicationNotActive, threescale.CodeUserKeyInvalid, threescale.CodeMetricInvalid,
	threescale.CodeNotValidData, threescale.CodeUsageValueInvalid, threescale.CodeTimestampTooOld, threescale.CodeTimestampTooNew,
	"expired", "ambiguous", "invalid_message", "malformed_message", "message_too_large", "message_type",
}

// names returns the services and reasons for filters. The reasons include those of the first lettersRead dead letters, and of
// letters made since the start.
func (d *daemon) names(ctx context.Context) (console.Names, error) {
	s := d.engine.Snapshot(lanesNamed)
	services, reasons := make(map[string]bool), make(map[string]bool)
	for _, id := range d.services.ids() {
		services[id] = true
	}
	for _, l := range s.Lanes {
		services[l.ServiceID] = true
	}
	for _, code := range Reasons {
		reasons[code] = true
	}
	for code := range s.Reports.Dead {
		reasons[code] = true
	}
	page, err := d.engine.DeadLetters(ctx, console.DeadLetterQuery{Limit: lettersRead})
	for _, text := range page.Letters {
		var letter struct {
			ServiceID string `json:"service_id"`
			Reason    struct{ Code string }
		}
		if err := json.Unmarshal(text, &letter); err != nil {
			return console.Names{}, err
		}
		services[letter.ServiceID], reasons[letter.Reason.Code] = true, true
	}
	delete(services, "")
	delete(reasons, "")
	named := make(map[string]string)
	for _, s := range d.services.book.Services() {
		named[s.ServiceID()] = s.Name
	}
	return console.Names{Services: slices.Sorted(maps.Keys(services)), Reasons: slices.Sorted(maps.Keys(reasons)), ServiceNames: named}, err
}
