package cli

import (
	"strconv"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/spool"
)

// letterTable prints dead letters: a row each, or an object each with JSON.
type letterTable struct {
	s     *screen
	table *terminal.Table // nil: JSON
}

func (s *screen) letters() *letterTable {
	if s.json {
		return &letterTable{s: s}
	}
	s.clear()
	return &letterTable{s, terminal.NewTable(s.out, "ID", "SINCE", "SERVICE", "APPLICATION", "EVENTS", "REASON")}
}

func (t *letterTable) add(d *spool.DeadLetter) error {
	if t.table == nil {
		return t.s.object(d)
	}
	t.table.Row(d.ID, terminal.Time(d.CreatedAt), d.ServiceID, application(d.AppID, d.UserKey), strconv.FormatUint(d.Events, 10), d.Reason.Code)
	return nil
}

// end prints the rows that were not printed yet.
func (t *letterTable) end() {
	if t.table != nil {
		t.table.Flush()
	}
}
