// Package wal is the segment log of a spool: frames with checksums, written one behind the other into files of a fixed
// reservation, durable before their writer is told.
//
// A Log is opened with Open, which reads every frame that was acknowledged and hands it to its owner; the owner then calls
// Repair, and from then on Commit, one goroutine at a time. DropWhile removes the oldest segments. Everything else may be called
// concurrently, also while a frame is committed. What Commit guarantees, and what Open believes, are the invariants I1 to I6,
// I13, I17 and I19 of package spool, whose documentation also has the format.
//
// Frames are read through one type only, which alone decides what an error means: an error of opening or reading is a *ReadError,
// says nothing about the bytes, and can be tried again; bytes that were read twice, through two descriptors, and do not hold are
// damage, and are kept in Quarantine before anything moves past them. Open, Follower, Scan and ReadChecked all read through it.
//
// A Log locks nothing of its owner's, and its owner locks nothing of the Log's. Of a Segment the owner may use the exported
// fields and methods: First, Try and Name never change, Pins and Mark are the owner's own.
package wal
