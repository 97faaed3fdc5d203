package dashboard

import (
	"encoding/json"
	"strings"
)

// first returns the dashboard that is made for a service.
func first(name, service, title string) *Dashboard {
	question := func(fields map[string]any) json.RawMessage {
		fields["service"] = service
		text, _ := json.Marshal(fields) // strings: it cannot fail
		return text
	}
	called := map[string]string{"value": "hits"}
	usage := func() map[string]any {
		return map[string]any{"question": "service_usage", "metric": "hits", "columns": called}
	}
	hourly := usage()
	hourly["by"], hourly["since"] = "hour", "7d"
	top := func(limit string) map[string]any {
		return map[string]any{"question": "top_applications", "metric": "hits", "limit": limit, "columns": called}
	}
	if title == "" {
		title = service
	}
	d := &Dashboard{
		Name: name, Title: title, Range: "30d", Compare: true,
		Tiles: []Tile{
			{Title: "Hits", Kind: "figure", Question: question(usage()), Width: 1},
			{Title: "Hits over time", Kind: "line", Question: question(usage()), Width: 3},
			{Title: "Share of applications", Kind: "share", Question: question(top("8")), Width: 2},
			{Title: "Top applications", Kind: "top", Question: question(top("10")), Width: 2},
			{Title: "Hits by hour of the day", Kind: "heat-map", Question: question(hourly), Width: 2},
			{Title: "What became of it", Kind: "table", Question: question(map[string]any{"question": "deliveries"}), Width: 2},
		},
	}
	if err := d.check(); err != nil {
		d.Tiles = []Tile{} // an id that no question takes
	}
	return d
}

// pathName makes an id fit for the name of a dashboard.
func pathName(id string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, strings.ToLower(id))
}
