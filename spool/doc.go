// Package spool keeps usage on disk: the journal of accepted events, the batch log with every sealed batch and the state of its
// delivery, and the ids of events for deduplication.
//
// An acknowledged event is on disk, and everything in memory is a cache of the disk. Recovery is the normal path run earlier: a
// start applies records with the function that applies them after their fdatasync. No data depends on Close.
//
// # Files
//
//	lock                       held while a process uses the directory; contains its process id
//	identity                   32 hexadecimal digits that name the directory
//	manifest.a, manifest.b     how far the logs go, 512 bytes each: see manifestState
//	receipts                   receipts of reports that have ended; written and read by the sender
//	RESTORED                   written by an operator: the directory was restored from a copy
//	journal/<first>-<try>.seg  accepted events until they are cut
//	batches/<first>-<try>.seg  sealed batches, attempts, outcomes
//	batches/spare              the next segment of that log, preallocated, so that delivery can continue on a full disk
//	ids/<first>-<try>.seg      event ids of cut events, for the dedupe window, and which messages of streams were taken
//	ids/spare                  the next segment of that log, for the same reason
//	deadletters/<id>.json      one transaction each
//	quarantine/                damaged ranges (<log>-<segment>-<offset>.bin) and files of other versions
//
// first is the sequence number a segment begins with, in twenty digits; try counts segments that begin
// with the same one. In the journal a sequence number is an event's Position; in the batch log it counts
// records, in ids it counts ids. Directories are 0700, files 0600. If lock, spare, identity, a manifest or quarantine/ is lost,
// no usage is lost.
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
//	 5  1  log, as in the head; 0: written by version 0.1, which did not record it
//	 6  2  0
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
//	source: the events after it, up to the next source, come from one message of a stream; zero or more sources stand
//	before an event, or after the last one
//	 1     64
//	 8     stream, a hash of its name, its creation time and the subjects selected
//	 uv    sequence number of the message in the stream
//	 uv    floor: all messages of the stream up to this one were acknowledged to it
//	 uv    0: the whole message, or the rest of it; otherwise the events are a part, and this is the index of the
//	       first event after it
//
//	event
//	 1     flags: 1 flat usage, 2 user key, 4 service token, 8 provider key, 16 id hash, 32 code
//	 str   service id
//	 str   service token, if flagged
//	 str   provider key, if flagged
//	16     id hash, if flagged: the first 16 bytes of SHA-256(service id, 0, event id)
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
//	16     id hash; of a range: 8 stream, 8 sequence number, with the kind in the two highest bits
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
//	11    note       id, uv unresolved ambiguous attempts, sv latest attempt (Unix nanoseconds). Without a note, all
//	                 ambiguous attempts are unresolved. With 2^31 added the batch is held: it is not sent, under any
//	                 policy, until an operator decides
//	12    requeued   str ids of dead letters, separated by commas, batch with a transaction of each: their events are
//	                 pending again
//	13    requeues   uv the count of kind 12, failed ones included; last in every frame since the first
//	14    account    id, uv number of transactions, and for each: 1 role (1 became a dead letter, 2 delivered
//	                 sent (role 2), 1 flags, uv events, transaction. It stands before the record of kind 7 or
//	                 12 about the same batch, in the same frame, and adds what that record does not contain
//	15    receipt    id, 1 whether the backend accepted the report of the last attempt, str receipt (at most 64 bytes,
//	                 for the sender; empty: none any more). It follows its attempt in the same frame, or records a
//	                 change
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
// The code cites these numbers where each becomes true.
//
//	I1   An event is acknowledged, and a record acted on, only after the fdatasync of its frame returned
//	     without error.
//	I2   No reader sees a frame before that either. A start syncs what it read before it counts it.
//	I3   Bytes are used only if their checksum holds, and only in the log that they were written to.
//	I4   A process never writes or syncs a file again whose write or sync failed. The frame goes to a new
//	     segment with the same sequence number, or is refused. A start cannot know whether the sync of an
//	     earlier process or start failed, after which the kernel calls pages clean that are not on the disk.
//	     It writes every frame again that the manifest does not know to be durable, before its own sync.
//	I5   A segment's name and head are durable before its first frame is written.
//	I6   Entries at or above the next segment's first sequence number are superseded and ignored. A
//	     sequence number that was visible outside the log is never used again: the last segment with a
//	     frame is never removed, and the journal continues behind the last event that the batch log knows.
//	I7   Segments are removed oldest first, each removal durable before the next, so that a batch never
//	     outlives the record that ended it.
//	I8   The dedupe set contains an event's id from the moment the event is durable, never earlier. The id
//	     is durable in ids/ before a cut allows the journal to be removed.
//	I9   The batches of a cut exist once the cut's one record is durable. The journal before it is removed
//	     only after that.
//	I10  While a batch is copied forward (compaction), no other record about it is being written.
//	I11  Every frame of the batch log begins with the totals as they were before it.
//	I12  Accepted = Delivered + Dead + Pending + Lost, in every snapshot.
//	I13  A torn end of a log with nothing valid behind it was never acknowledged, because one frame at a
//	     time is being written.
//	I14  An event is accepted only if there is space to deliver it. Delivery is never refused because of
//	     the quota.
//	I15  A dead letter's file is durable before the record that counts it.
//	I16  The segment that records the requeue of a dead letter stays until the removal of the letter's file
//	     is durable. A start removes the file of a letter that was requeued: a letter is dead or pending,
//	     never both. Another frame follows the record before any of that.
//	I17  An error of opening, listing or reading is never treated as damage. A running daemon waits and
//	     retries; a start fails without having changed anything. Damage is what was read twice, through two
//	     descriptors, and whose checksum does not hold; it is durable in quarantine/ before a reader moves
//	     past it. A missing file is an error, unless this process removed it.
//	I18  The manifest never claims more than is durable. While the machine stays up, it covers everything
//	     that was acknowledged, unless it cannot be written: that is reported as long as it lasts.
//	I19  Nothing is committed, created or removed in a directory that is not the one that was opened.
//	I20  I8 holds for the place of a message in a stream as well, without a time limit: a segment of the ids log is
//	     removed only when newer ones contain everything that is known about such messages.
//
// # The manifest
//
// 512 bytes, integers little-endian: "reportmf"; 2 version 1; 1 closed in good order; 1 number of holes; 16
// identity; 16 of SHA-256(boot id); 8 when the file identity last changed, Unix nanoseconds; 8 when the
// delivered, dead, pending, ambiguous, lost, and for each log the first number of its oldest and of its newest segment and the
// number behind its last entry; for each log 4 try of its oldest and 4 of its newest segment, 4 number of segments, 8 bytes of
// frames in the newest; then for each hole that a start has processed, 8 first and 8 last record that is missing from the batch
// log; zeros; 4 CRC32C of what is before it.
//
// # Assumptions
//
// fdatasync makes bytes and size durable, fsync of a directory its names; a rename is atomic; reserved space reads as zeros; a
// write into a sector does not harm bytes that are the same before and after. Damage is rare enough that two independent ones do
// not hit the same few records. The quota does not include what other programs write to the same disk; MinFreeBytes is for that.
package spool
