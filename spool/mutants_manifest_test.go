package spool_test

// manifestMutants are the ways in which the manifest claims too much, or is not believed.
var manifestMutants = []mutant{
	{"manifest ahead of the sync", false, []change{{
		"journal.go", "		err = j.log.Commit(led.buf,",
		"		early := j.log.Extent()\n		early.Next += uint64(led.count)\n" +
			"		j.counters.update(func(c *Counts) { c.Accepted += uint64(led.count) })\n" +
			"		j.log.Noted(early)\n" +
			"		j.counters.update(func(c *Counts) { c.Accepted -= uint64(led.count) })\n" +
			"		err = j.log.Commit(led.buf,",
	}}},
	{"manifest not written before the answer", false, []change{{
		"wal/log.go", "	l.note(extent) // after", "	_ = extent // behind",
	}}},
	{"torn end believed although the manifest knows better", false, []change{{
		"missing.go", "	if last == nil {\n", "	if last != nil {\n",
	}}},
	{"what the manifest knows to be accepted is forgotten", false, []change{{
		"missing.go", "			c.Accepted = max(c.Accepted, r.counts.Accepted)\n", "			_ = r.counts.Accepted\n",
	}}},
	{"numbers of a lost end used again", false, []change{{
		"missing.go", "		l.Raise(r.logs[wal.Batches-1].Next)\n", "",
	}}},
	{"batches of a log without its end sent again", false, []change{{
		"restore.go", "			a.hold = a.hold || m.Log == s.batches.log.Dir && !m.oldest\n", "			_ = m\n",
	}}},
	{"restored copy sent again", false, []change{{
		"restore.go", "	case r.copied:\n", "	case false:\n",
	}}},
	{"go on behind a torn end that is not set aside", false, []change{{
		"missing.go", "				return fmt.Errorf(\"spool: read %s: %w\", l.Dir, err)\n", "				_ = fmt.Errorf(\"spool: read %s: %w\", l.Dir, err)\n",
	}}},
}
