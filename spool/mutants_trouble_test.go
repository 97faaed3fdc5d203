package spool_test

// troubleMutants are the ways to take an error of the disk for something that is known of the data.
var troubleMutants = []mutant{
	{"take a read error for a torn end", false, []change{{
		"wal/replay.go", "	if err != nil && !inFile(err) {\n		return false, err\n", "	if err != nil && !inFile(err) {\n		return false, nil\n",
	}}},
	{"call damaged what failed three times", false, []change{{
		"wal/reader.go", "		if err := l.readAt(s, data, offset); err != nil {\n			return nil, err\n",
		"		if err := l.readAt(s, data, offset); err != nil {\n			if l.health.errors.Load() >= 3 {\n				return nil, ErrDamaged\n			}\n			return nil, err\n",
	}}},
	{"go on after a segment that was not read", false, []change{{
		"wal/replay.go", "		if err := r.run(); err != nil {\n", "		if err := r.run(); err != nil && l.Kind != IDs {\n			continue\n		} else if err != nil {\n",
	}}},
	{"take a missing segment for a removed one", false, []change{{
		"wal/reader.go", "		if l.wasReleased(s) {\n", "		if true {\n",
	}}},
	{"take a listing that failed for an empty directory", false, []change{{
		"wal/replay.go", "	entries, err := l.FS.ReadDir(filepath.Join(l.Root, l.Dir))\n	if err != nil {\n",
		"	entries, err := l.FS.ReadDir(filepath.Join(l.Root, l.Dir))\n	if err != nil && len(entries) > 0 {\n",
	}}},
	{"sync at a start what an earlier sync may have dropped", false, []change{{
		"wal/newest.go", "		err = errors.Join(r.rewrite(file), file.Sync())\n", "		err = file.Sync()\n",
	}}},
	{"write a footer behind frames that are not durable", false, []change{{
		"wal/newest.go", "		err = errors.Join(r.rewrite(file), file.Sync())\n", "		err = r.rewrite(file)\n",
	}}},
	{"take a frame of another log", false, []change{{
		"wal/frame.go", " && (f.log == log || f.log == 0)\n", "\n",
	}}},
	{"believe the first reading", false, []change{{
		"wal/reader.go", "	if inFile(err) && off+FrameHead <= r.scan.size {\n", "	if false {\n",
	}, {
		"wal/reader.go", "const Readings = 2\n", "const Readings = 1\n",
	}}},
}
