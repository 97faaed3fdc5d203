package spool_test

// manifestMutants are the ways in which the manifest claims too much, or is not believed.
var manifestMutants = []mutant{
	{"manifest ahead of the sync", false, []change{{
		"log.go", "	at, err := l.put(buf, count)\n",
		"	l.mu.Lock()\n	early := l.extentOf(l.segments)\n	l.mu.Unlock()\n	early.next += uint64(count)\n" +
			"	if l.kind == journalLog {\n		l.manifest.counters.update(func(c *Counts) { c.Accepted += uint64(count) })\n	}\n" +
			"	l.manifest.note(l.kind, early)\n" +
			"	if l.kind == journalLog {\n		l.manifest.counters.update(func(c *Counts) { c.Accepted -= uint64(count) })\n	}\n" +
			"	at, err := l.put(buf, count)\n",
	}}},
	{"manifest not written before the answer", false, []change{{
		"log.go", "	l.manifest.note(l.kind, extent) // behind", "	_ = extent // behind",
	}}},
	{"torn end believed although the manifest knows better", false, []change{{
		"missing.go", "	if last == nil {\n", "	if last != nil {\n",
	}}},
	{"what the manifest knows to be accepted is forgotten", false, []change{{
		"missing.go", "			c.Accepted = max(c.Accepted, r.counts.Accepted)\n", "			_ = r.counts.Accepted\n",
	}}},
	{"numbers of a lost end used again", false, []change{{
		"missing.go", "		l.next = r.logs[batchesLog-1].next\n", "",
	}}},
	{"batches of a log without its end sent again", false, []change{{
		"restore.go", "			a.hold = a.hold || m.Log == s.batches.log.dir && !m.oldest\n", "			_ = m\n",
	}}},
	{"restored copy sent again", false, []change{{
		"restore.go", "	case r.copied:\n", "	case false:\n",
	}}},
	{"go on behind a torn end that is not set aside", false, []change{{
		"missing.go", "				return fmt.Errorf(\"spool: read %s: %w\", l.dir, err)\n", "				_ = fmt.Errorf(\"spool: read %s: %w\", l.dir, err)\n",
	}}},
}
