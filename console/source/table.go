package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The types of columns.
const (
	typeString  = "string"
	typeInteger = "integer"
	typeNumber  = "number"
	typeBoolean = "boolean"
	typeTime    = "time" // RFC 3339
)

// mostRows bounds a table.
const mostRows = 100_000

var errTooManyRows = fmt.Errorf("source: more than %d rows: ask for less time, or one service", mostRows)

// Column is a column of a Table.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // string, integer, number, boolean, time
}

// Table is an answer: typed columns, and rows with a cell for each. A cell is nil, a string, a bool, a json.Number, an int64 or a
// float64; a time is a string in RFC 3339.
type Table struct {
	Columns []Column
	Rows    [][]any
}

// newTable makes an empty table from names and types: "time:time", "value:integer".
func newTable(columns ...string) *Table {
	t := &Table{Rows: [][]any{}}
	for _, c := range columns {
		name, kind, _ := strings.Cut(c, ":")
		t.Columns = append(t.Columns, Column{name, kind})
	}
	return t
}

func (t *Table) add(cells ...any) error {
	if len(t.Rows) == mostRows {
		return errTooManyRows
	}
	t.Rows = append(t.Rows, cells)
	return nil
}

// index returns the index of a column; -1: there is none.
func (t *Table) index(name string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
}

// rename gives columns other names.
func (t *Table) rename(names map[string]string) error {
	taken := make(map[string]bool)
	for _, old := range slices.Sorted(maps.Keys(names)) {
		if t.index(old) < 0 {
			var all []string
			for _, c := range t.Columns {
				all = append(all, c.Name)
			}
			return fmt.Errorf("source: columns: %q: no such column: expected one of %s", old, strings.Join(all, ", "))
		}
	}
	for i := range t.Columns {
		if name := names[t.Columns[i].Name]; name != "" {
			t.Columns[i].Name = name
		}
		if taken[t.Columns[i].Name] {
			return fmt.Errorf("source: columns: two are called %q", t.Columns[i].Name)
		}
		taken[t.Columns[i].Name] = true
	}
	return nil
}

// record is a row whose columns are not known yet, in the order in which they came.
type record []field

type field struct {
	name  string
	value any
}

// collect makes a table of records: a column for each name, in the order in which names first appear.
func collect(records []record, zone *time.Location) (*Table, error) {
	if len(records) > mostRows {
		return nil, errTooManyRows
	}
	t, at := newTable(), make(map[string]int)
	for _, r := range records {
		for _, f := range r {
			if _, known := at[f.name]; !known {
				at[f.name] = len(t.Columns)
				t.Columns = append(t.Columns, Column{Name: f.name})
			}
		}
	}
	for _, r := range records {
		row := make([]any, len(t.Columns))
		for _, f := range r {
			row[at[f.name]] = f.value
		}
		t.Rows = append(t.Rows, row)
	}
	for i := range t.Columns {
		t.infer(i, zone)
	}
	return t, nil
}

// infer finds the type of a column, and writes its times in one zone.
func (t *Table) infer(i int, zone *time.Location) {
	kind := ""
	for _, row := range t.Rows {
		if row[i] == nil {
			continue
		}
		if k := typeOf(row[i], t.Columns[i].Name); kind == "" || kind == typeInteger && k == typeNumber {
			kind = k
		} else if k != kind && !(kind == typeNumber && k == typeInteger) {
			kind = typeString
			break
		}
	}
	if kind == "" {
		kind = typeString
	}
	t.Columns[i].Type = kind
	for _, row := range t.Rows {
		if row[i] != nil {
			row[i] = convert(row[i], kind, zone)
		}
	}
}

// convert makes a cell one of its column's type, which typeOf found.
func convert(v any, kind string, zone *time.Location) any {
	text := fmt.Sprint(v)
	switch kind {
	case typeTime:
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			return at.In(zone).Format(time.RFC3339)
		}
	case typeInteger:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case typeNumber:
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case typeString:
		return text
	}
	return v
}

func typeOf(v any, column string) string {
	switch v := v.(type) {
	case bool:
		return typeBoolean
	case int64:
		return typeInteger
	case float64:
		return typeNumber
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return typeNumber
		}
		return typeInteger
	case string:
		if column == "value" && v != "" && strings.Trim(v, "0123456789") == "" { // 3scale's top applications
			return typeInteger
		}
		if _, err := time.Parse(time.RFC3339, v); err == nil {
			return typeTime
		}
	}
	return typeString
}

// measures are the columns that two answers are compared by. All columns of the other names together identify a row.
var measures = []string{"value", "used", "percent"}

// join puts the answers of the ledger and of 3scale beside each other. Rows with measures have one of each side and the
// difference; rows of a list say which side has them.
func join(ours, theirs *Table) (*Table, error) {
	measured := slices.ContainsFunc(ours.Columns, func(c Column) bool { return slices.Contains(measures, c.Name) })
	if !measured {
		return merge(ours, theirs)
	}
	if !slices.Equal(ours.Columns, theirs.Columns) {
		return nil, errors.New("source: the ledger and 3scale answer with different columns")
	}
	t := newTable()
	var own, values []int
	for i, c := range ours.Columns {
		if slices.Contains(measures, c.Name) {
			values = append(values, i)
			continue
		}
		own, t.Columns = append(own, i), append(t.Columns, c)
	}
	for _, i := range values {
		c := ours.Columns[i]
		t.Columns = append(t.Columns, Column{c.Name + "_ledger", c.Type}, Column{c.Name + "_3scale", c.Type}, Column{c.Name + "_difference", c.Type})
	}
	rows, order := make(map[string][2][]any), []string{}
	for side, from := range []*Table{ours, theirs} {
		for _, row := range from.Rows {
			key := keyOf(row, own)
			pair, known := rows[key]
			if !known {
				order = append(order, key)
			}
			pair[side] = row
			rows[key] = pair
		}
	}
	for _, key := range order {
		if err := t.add(beside(rows[key], own, values)...); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func keyOf(row []any, columns []int) string {
	var key strings.Builder
	for _, i := range columns {
		fmt.Fprintf(&key, "%q", fmt.Sprint(row[i]))
	}
	return key.String()
}

// beside makes the row of a pair, of which one side may be missing.
func beside(pair [2][]any, own, values []int) (cells []any) {
	one := pair[0]
	if one == nil {
		one = pair[1]
	}
	for _, i := range own {
		cells = append(cells, one[i])
	}
	for _, i := range values {
		var a, b, difference any
		if pair[0] != nil {
			a = pair[0][i]
		}
		if pair[1] != nil {
			b = pair[1][i]
		}
		switch x := a.(type) {
		case int64:
			if y, ok := b.(int64); ok {
				difference = x - y
			}
		case float64:
			if y, ok := b.(float64); ok {
				difference = x - y
			}
		}
		cells = append(cells, a, b, difference)
	}
	return cells
}

// merge lists what either side has, by id, with a column that says which.
func merge(ours, theirs *Table) (*Table, error) {
	var records []record
	at := make(map[string]int)
	for _, side := range []struct {
		name string
		*Table
	}{{string(ThreeScale), theirs}, {string(Ledger), ours}} {
		id := side.index("id")
		for i, row := range side.Rows {
			key := fmt.Sprint(side.name, i)
			if id >= 0 {
				key = fmt.Sprint(row[id])
			}
			if n, known := at[key]; known {
				records[n][0].value = string(Both)
				continue
			}
			at[key] = len(records)
			r := record{{"known_to", side.name}}
			for j, c := range side.Columns {
				r = append(r, field{c.Name, row[j]})
			}
			records = append(records, r)
		}
	}
	return collect(records, time.UTC)
}

// number returns an integer of JSON; anything else counts as 0.
func number(v any) int64 {
	n, _ := v.(json.Number)
	i, _ := n.Int64() // the admin API sends integers
	return i
}
