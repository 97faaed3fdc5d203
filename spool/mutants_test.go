package spool_test

// change replaces old by new in a file; old stands there once.
type change struct{ file, old, new string }

// mutant is one way to break the spool.
type mutant struct {
	name    string
	damage  bool // TestModelDamage has to notice; otherwise TestModel, or TestModelTrouble
	changes []change
}

// mutants are the mistakes that a log loses data by.
var mutants = []mutant{
	{"acknowledge before sync", false, []change{{
		"wal/log.go", "if err := l.syncFile(l.file); err != nil { // I1",
		"file := l.file\n\tgo func() { _ = l.syncFile(file) }()\n\tif err := error(nil); err != nil {",
	}}},
	{"no sync at all", false, []change{{
		"wal/log.go", "if err := l.syncFile(l.file); err != nil { // I1", "if err := error(nil); err != nil {",
	}}},
	{"believe the second sync", false, []change{{
		"wal/log.go", "if err := l.syncFile(l.file); err != nil { // I1",
		"if err := l.syncFile(l.file); err != nil && l.syncFile(l.file) != nil {",
	}}},
	{"no sync of the directory", false, []change{{
		"wal/log.go", "	return l.FS.SyncDir(filepath.Join(l.Root, l.Dir))\n", "	return nil\n",
	}}},
	{"no sync of the directories above", false, []change{{
		"recovery.go", "	return s.syncAncestors()\n", "	return nil\n",
	}}},
	{"expose before commit", false, []change{{
		"wal/log.go", "if err := l.syncFile(l.file); err != nil { // I1",
		"l.mu.Lock()\n\ts.end, s.next = l.off+int64(len(buf)), at.First+uint64(count)\n\tl.mu.Unlock()\n" +
			"\tif err := l.syncFile(l.file); err != nil {",
	}}},
	{"reuse sequence numbers after a restart", false, []change{{
		"wal/replay.go", "		l.next = max(l.next, s.next)\n", "		_ = s.next\n",
	}}},
	{"forget where the last cut was", false, []change{{
		"wal/segments.go", "	for _, s := range l.segments[min(1, len(l.segments)):] {\n		if s.next > s.First {\n",
		"	for _, s := range l.segments[min(1, len(l.segments)):] {\n		if s != nil {\n",
	}}},
	{"do not check a frame", true, []change{{
		"wal/frame.go", "{ return crc32.Checksum(payload, checksums) == f.sum }", "{ return true }",
	}}},
	{"do not check a record", true, []change{{
		"record.go", "if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[4:]) {", "if false {",
	}}},
	{"release the journal before the cut is durable", false, []change{{
		"cut.go", "	c.records = append(c.records, logged{record: r})\n	c.buf = r.append(c.buf)\n",
		"	c.spool.releaseJournal(c.from, c.upTo)\n	c.records = append(c.records, logged{record: r})\n	c.buf = r.append(c.buf)\n",
	}}},
	{"batches live before their cut", false, []change{{
		"index.go", "	x.staged = append(x.staged, r.entry)\n", "	x.addLocked(r.entry, nil)\n",
	}}},
	{"know an id before its event is durable", false, []change{{
		"journal.go", "		j.inFlight[m.hash] = own\n", "		j.dedupe.add(m.hash, time.Now().Unix())\n",
	}}},
	{"do not carry ids over a cut", false, []change{{
		"cut.go", "if err := c.spool.ids.carry(c.upTo); err != nil {", "if err := error(nil); err != nil {",
	}}},
	{"drop the acknowledged tail", false, []change{{
		"wal/replay.go", "	if err == nil && f.First == r.next {\n",
		"	if err == nil && f.First == r.next {\n" +
			"		if _, _, end := r.scan.read(r.off + f.Size()); end != nil && r.limit == NoLimit && f.kind == FrameData {\n" +
			"			return false, nil\n		}\n		f, payload, err = r.scan.read(r.off)\n",
	}}},
	{"believe what was superseded", false, []change{{
		"wal/replay.go", "			limit = l.segments[i+1].First\n", "			limit = NoLimit\n",
	}}},
	{"trust the page cache of a killed process", false, []change{{
		"wal/newest.go", "	if len(r.uncertain) > 0 && !r.log.NoSync {\n", "	if false {\n",
	}, {
		"wal/newest.go", "		err = r.log.syncFile(file)\n", "",
	}}},
	{"do not wait for an attempt's record", false, []change{{
		"batches.go", "	return s.batches.note(&record{kind: recordAttempt, id: id, at: at.UnixNano()})\n",
		"	s.batches.later(&record{kind: recordAttempt, id: id, at: at.UnixNano()})\n	return nil\n",
	}}},
	{"do not sync dead letters", false, []change{{
		"letters.go", "		err = f.Sync()\n", "		err = nil\n",
	}}},
	{"keep the dead letters of live batches", false, []change{{
		"requeued.go", "	return x.live[batch] != nil || x.descendsLocked(batch)\n", "	return false\n",
	}}},
	{"forget that a letter was requeued", false, []change{{
		"recovery.go", "		s.letters.locked[letter] = true // until removeRequeued has removed it\n", "		s.batches.index.unpin(letter)\n",
	}}},
	{"remove a letter before the record that requeues it", false, []change{{
		"requeue.go", "	s.batches.compaction.RLock()\n", "	for _, f := range lettersOf(reports[:written]) {\n\t\t_ = s.letters.remove(f.ID)\n\t}\n	s.batches.compaction.RLock()\n",
	}}},
	{"forget how many were requeued", false, []change{{
		"batches.go", "n := b.index.requeueCount(); n > 0 {", "n := b.index.requeueCount(); n > 1<<60 {",
	}, {
		"requeued.go", "	x.requeues = max(x.requeues, uint64(r.entry.id.Position))\n", "",
	}}},
	{"take a failed read for a torn end", false, []change{{
		"wal/reader.go", "	return r.log.readError(r.Segment, r.scan.failed, err)\n", "	return errNoFrame\n",
	}}},
	{"go on behind a segment not read", false, []change{{
		"wal/replay.go", "		if err := r.run(); err != nil {\n", "		if r.run() != nil {\n			continue\n		}\n		if err := error(nil); err != nil {\n",
	}}},
	{"give up what failed three times", false, []change{{
		"load.go", "		if err != nil {\n			return nil, err\n",
		"		if err != nil {\n			if b.log.ReadErrors() >= 3 {\n				return nil, ErrDamaged\n			}\n			return nil, err\n",
	}}},
	{"believe the first reading of damage", true, []change{{
		"wal/reader.go", "const Readings = 2\n", "const Readings = 1\n",
	}}},
	{"pass over damage that is not set aside", true, []change{{
		"wal/quarantine.go", "		return fmt.Errorf(\"%d damaged bytes", "		_ = fmt.Errorf(\"%d damaged bytes",
	}}},
	{"requeue without the figures", false, []change{{
		"requeued.go", "	x.counters.requeued(r.entry.events)\n", "",
	}}},
}
