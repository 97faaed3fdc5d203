// Package spool keeps things on disk: the journal of accepted events, the log of sealed batches with
// everything that is known about their delivery, and the ids of events.
//
// What was acknowledged is on disk, everything in RAM is a cache of the disk, and recovery is the normal
// path run earlier: the function that books a record after its fdatasync is the one that start-up runs
// over the log. Close is a courtesy.
//
// # Files
//
//	lock                       held while a process uses the directory; contains its process id
//	identity                   32 hexadecimal digits that name the directory
//	manifest.a, manifest.b     how far the logs go, 512 bytes each: see manifestState
//	receipts                   receipts that are kept for reports which have an end; the sender's
//	RESTORED                   an operator's word that the directory was restored from a copy
//	journal/<first>-<try>.seg  accepted events until they are cut
//	batches/<first>-<try>.seg  sealed batches, attempts, outcomes
//	batches/spare              the next segment of that log, preallocated: the reserve for draining
//	ids/<first>-<try>.seg      event ids of cut events, for the dedupe window, and which messages of streams were taken
//	ids/spare                  the next segment of that log, for the same reason
//	deadletters/<id>.json      one transaction each
//	quarantine/                damaged ranges (<log>-<segment>-<offset>.bin) and files of other versions
//
// first is the sequence number a segment begins with, in twenty digits; try counts segments that begin
// with the same one. In the journal a sequence number is an event's Position; in the batch log it counts
// records, in ids it counts ids. Directories are 0700, files 0600. Losing lock, spare, identity, a manifest
// or quarantine/ loses nothing.
//
// # Format, version 1
//
// Integers are little-endian. A segment file is a head, frames, and zeros up to its reserved size:
//
//	segment head, 32 bytes
//	 0  8  "reporter"
//	 8  2  version: 1
//	10  1  log: 1 journal, 2 batches, 3 ids
//	11  1  0
//	12  4  try
//	16  8  first
//	24  4  bytes reserved when the file was made; 0: unknown
//	28  4  CRC32C of bytes 0 to 27
//
//	frame
//	 0  4  "RPF1"
//	 4  1  kind: 1 data, 2 footer (no payload; the segment was closed in good order)
//	 5  3  0
//	 8  8  sequence number of the first entry; of a footer, the next one
//	16  4  number of entries
//	20  4  length of the payload, at most 64 MiB
//	24  4  CRC32C of the payload
//	28  4  CRC32C of bytes 0 to 27
//	32  n  payload
//
// uv is an unsigned varint, sv a signed one (zigzag), str a uv length and so many bytes. id is a batch id:
// uv position, uv index, uv path. The id of a batch that was a dead letter has the number of its requeueing
// for a position, and the index 4294967295.
//
//	journal payload
//	 8     accepted, Unix nanoseconds
//	 8     duplicates counted so far
//	 ...   events, one behind the other
//
//	source: the events behind it, up to the next one, are of one message of a stream; zero or more of them stand in
//	front of an event, or behind the last one
//	 1     64
//	 8     stream, a hash of its name, its creation and what is selected of it
//	 uv    sequence number of the message in the stream
//	 uv    floor: all messages of the stream up to this one were acknowledged to it
//	 uv    0: the whole message, or the rest of it; else the events are a part, and this is the index of the first
//	       event behind it
//
//	event
//	 1     flags: 1 flat usage, 2 user key, 4 service token, 8 provider key, 16 mark, 32 code
//	 str   service id
//	 str   service token, if flagged
//	 str   provider key, if flagged
//	16     mark, if flagged: the first 16 bytes of SHA-256(service id, 0, event id)
//	 ...   transaction
//
//	transaction
//	 str   application id, or user key if flagged
//	 sv    timestamp, Unix seconds
//	 uv    response code, if flagged
//	 uv    number of metrics, and for each: str name, uv value
//
//	ids payload: for each id, or range of messages of a stream
//	 4     accepted, Unix seconds; of a range: less than 2^24, see below
//	16     mark; of a range: 8 stream, 8 sequence number, with the kind in the two highest bits
//
//	kinds of ranges: 0 so many messages from the sequence number on were taken; 1 all messages up to the sequence
//	number were acknowledged; 2 of this message the events before that index were taken
//
//	batches payload: records
//	 4     length of what follows the next field
//	 4     CRC32C of it
//	 1     kind
//	 ...   body
//
//	kind  record     body
//	 1    totals     8 each: committed, accepted, duplicates, delivered, dead, ambiguous, lost; first in
//	                 every frame
//	 2    batch      uv cut, batch
//	 3    cut        uv cut, uv committed up to, uv batches, uv events, uv events with nothing to report
//	 4    attempt    id, sv Unix nanoseconds
//	 5    ambiguous  id
//	 6    answered   id
//	 7    resolved   id, uv events delivered, uv events dead, uv dead letters, uv children, and each of
//	                 them as a record of kind 8
//	 8    child      batch
//	 9    lost       id
//	10    moved      uv attempts, uv ambiguous, 1 unanswered, batch
//	11    note       id, uv ambiguous attempts that nobody decided about, sv latest attempt (Unix nanoseconds);
//	                 without one, all ambiguous attempts. With 2^31 added the batch is held: it is not sent,
//	                 whatever the policy, before an operator decides
//	12    requeued   str id of a dead letter, batch: its events are pending again
//	13    requeues   uv the count of kind 12, failed ones included; last in every frame since the first
//	14    account    id, uv number of transactions, and for each: 1 role (1 became a dead letter, 2 delivered
//	                 with another timestamp, 3 had this timestamp when it was a dead letter), sv the timestamp
//	                 sent (role 2), 1 flags, uv events, transaction. It stands before the record of kind 7 or
//	                 12 about the same batch, in the same frame, and says what that one does not
//	15    receipt    id, 1 whether the backend took the report of the last attempt, str receipt (at most 64 bytes, the
//	                 sender's; empty: none any more). It stands behind the attempt it belongs to, in the same frame,
//	                 or says that this changed
//
//	batch
//	 1     flags, as of an event: 1, 4, 8
//	 id
//	 str   service id
//	 str   service token, if flagged
//	 str   provider key, if flagged
//	 sv    sealed; sv oldest acceptance (Unix nanoseconds); sv oldest, sv newest timestamp (Unix seconds)
//	 uv    events
//	 uv    number of transactions, and for each: 1 flags as of an event (2, 32), uv events, transaction
//
// # Invariants
//
// The code cites them where they become true.
//
//	I1   Nobody is told before the fdatasync of the frame returned nil.
//	I2   No reader sees a frame before that either; what recovery reads is synced before it counts.
//	I3   No byte is believed whose checksum does not hold.
//	I4   A file whose write or sync failed is never written or synced again. The frame goes to a new
//	     segment with the same sequence number, or is refused.
//	I5   A segment's name and head are durable before its first frame is written.
//	I6   What is at or above the next segment's first sequence number was superseded, and is ignored. No
//	     sequence number that anybody saw is used again: the last segment with a frame is never removed,
//	     and the journal goes on behind the last event that the batch log knows of.
//	I7   Segments go oldest first, each removal durable before the next, so that a batch never outlives
//	     the record that ended it.
//	I8   An event's id is known when the event is durable, never before, and is durable beyond the journal
//	     before a cut lets the journal go.
//	I9   A cut's batches exist from its one record on. The journal behind it goes only after that.
//	I10  While a batch is copied forward no other record about it is under way.
//	I11  Every frame of the batch log begins with the figures as they stood before it.
//	I12  Accepted = Delivered + Dead + Pending + Lost, in every snapshot.
//	I13  An end with nothing valid behind it was never acknowledged: one frame is in flight at a time.
//	I14  An event is accepted only if there is room to drain it. Draining is never refused for the quota.
//	I15  A dead letter's file is durable before the record that counts it.
//	I16  A segment that says that a dead letter was requeued stays until the letter's file is gone, durably;
//	     a letter that is found at start although it was requeued is removed. Another frame follows the record
//	     before any of that.
//	I17  An error of opening, listing or reading is never taken for damage, and nothing is concluded from it:
//	     what runs waits and tries again, and a start fails without having changed anything. Damage is what was
//	     read, twice and through two descriptors, and does not hold; it is set aside durably before anything moves
//	     past it. A missing file is such an error, unless this process removed it.
//	I18  The manifest never knows of more than is durable, and of everything that was acknowledged while the
//	     machine stays up, unless it cannot be written: that is said while it lasts.
//	I19  Nothing is committed, made or removed in a directory that is not the one that was opened.
//	I20  I8 holds of the place of a message in a stream, too, and without a limit of time: a segment of the ids log goes only
//	     when all that is known of such messages stands in newer ones.
//
// # The manifest
//
// 512 bytes, integers little-endian: "reportmf"; 2 version 1; 1 closed in good order; 1 number of holes; 16
// identity; 16 of SHA-256(boot id); 8 when the file identity last changed, Unix nanoseconds; 8 when the
// directory was opened; then 8 each: generation, inode of identity, committed, requeues, accepted, duplicates,
// delivered, dead, pending, ambiguous, lost, and for each log the first number of its oldest and of its newest
// segment and the number behind its last entry; for each log 4 try of its oldest and 4 of its newest segment, 4
// number of segments, 8 bytes of frames in the newest; then for each hole that a start has dealt with 8 first
// and 8 last record missing of the batch log; zeros; 4 CRC32C of what is before it.
//
// # Assumptions
//
// fdatasync makes bytes and size durable, fsync of a directory its names; a rename is atomic; reserved
// space reads as zeros; writing into a sector does not harm what it held before and holds after. Damage is
// rare enough that two independent ones do not hit the same few records. The quota does not know what
// other programs write to the same disk; MinFreeBytes is for that.
package spool
