// Package wal is the segment log of a spool: frames with checksums, appended to files of a fixed reserved size, and durable
// before Commit returns.
//
// A Log is opened with Open, which reads every frame that was acknowledged and passes it to the log's owner. Then the owner calls
// Repair, and after that Commit, one goroutine at a time. DropWhile removes the oldest segments. All other methods may be called
// concurrently, also during a commit. The guarantees of Commit and Open are the invariants I1 to I6, I13, I17 and I19 of package
// spool, whose documentation also describes the format.
//
// One type, reader, reads all frames and decides what an error means. An error of opening or reading is a *ReadError: it says
// nothing about the bytes, and the read can be repeated. Bytes that were read twice, through two descriptors, and whose checksum
// does not hold are damage: they are copied to quarantine before a reader moves past them. Open, Follower, Scan and ReadChecked
// all use it.
//
// A Log does not take the locks of its owner, and the owner does not take those of the Log. Of a Segment the owner may use the
// exported fields and methods: First, Try and Name never change, Pins and ReleaseAfter belong to the owner.
package wal
