package console

// ledgers are the metric families of the ledger; absent without one.
var ledgers = []family{
	{kind: counter, name: "reporterd_ledger_booked_total", help: "Events of batches that were booked in the ledger. Absent without a ledger.",
		series: ledger(func(l *Ledger) float64 { return float64(l.Booked) })},
	{kind: gauge, name: "reporterd_ledger_behind_records", help: "Records of the batch log that the ledger has not read yet.",
		series: ledger(func(l *Ledger) float64 { return float64(l.Behind) })},
	{kind: gauge, name: "reporterd_ledger_bytes", help: "Bytes the ledger takes.",
		series: ledger(func(l *Ledger) float64 { return float64(l.Bytes) })},
	{kind: gauge, name: "reporterd_ledger_missed", help: "1 if some usage could not be booked since the ledger was made: it is missing from the figures.",
		series: ledger(func(l *Ledger) float64 { return one(l.Missed) })},
	{kind: gauge, name: "reporterd_ledger_stopped", help: "1 while the ledger cannot be written. Delivery continues.",
		series: ledger(func(l *Ledger) float64 { return one(l.Stopped) })},
	{kind: counter, name: "reporterd_ledger_days_given_up_total", help: "Days deleted since the start because the ledger exceeded its maximum size.",
		series: ledger(func(l *Ledger) float64 { return float64(l.GivenUp) })},
	{kind: counter, name: "reporterd_ledger_set_aside_total", help: "Transactions since the start that the ledger could not book, such as those with a name above 32 KiB. They are delivered nevertheless.",
		series: ledger(func(l *Ledger) float64 { return float64(l.SetAside) })},
	{kind: gauge, name: "reporterd_ledger_earliest_timestamp_seconds", help: "The first day in the ledger, Unix seconds. Absent while it is empty.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.Ledger != nil {
				putTime(s.Ledger.Earliest, put)
			}
		}},
}

func ledger(value func(*Ledger) float64) func(*Snapshot, func(float64, ...string)) {
	return func(s *Snapshot, put func(float64, ...string)) {
		if s.Ledger != nil {
			put(value(s.Ledger))
		}
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
