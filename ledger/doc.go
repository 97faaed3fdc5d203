// Package ledger accounts for usage: for every service, application, metric and UTC hour, how much was accepted,
// delivered, is dead, and may have been counted more than once.
//
// It is a projection of the spool's batch log, kept by a goroutine of its own: producers, batcher and sender do not know
// it. What it has booked and how far it has read are one transaction of its database, so that each record is booked
// exactly once, however often the process dies. The spool keeps ended batches until they are booked, within bounds; a
// ledger that falls behind those, or finds damage, says so (Stats.Missed) instead of being silently wrong.
//
// # What is counted
//
// Usage, in units of the metric, in the hour of the timestamp that was sent. Usage that was sent with another timestamp
// than its own is booked in the hour it was sent for, and counted as restamped there. In every cell
//
//	accepted = delivered + dead + lost + pending
//
// Accepted usage is booked once it is sealed in a batch, a flush interval after it was acknowledged. Ambiguous counts
// each report whose outcome is unknown, beside the other figures: as much may have been counted twice.
//
// Metrics are stored as they were reported. A parent's share of its methods is added on reading, where the hierarchy is
// known, so that it can become known later.
//
// # The file
//
// One bbolt database, <data_dir>/ledger.db:
//
//	meta     state -> version (2), flags (1: figures may be wrong, 2: every value has a checksum), the sequence number of
//	         the batch log that is to be read next (8, big-endian, as all integers here), the bytes of all evidence (8),
//	         how many numbers were given to names (8), up to 16 places that were booked up to (sequence number 8, checksum of the frame before it 4), and a CRC32C
//	         of the key and all that. Older versions had the values next, evidence and missed instead
//	names    kind, text -> number (4 bytes); kinds are s service, a application, m metric
//	numbers  kind, number -> text
//	days     day since 1970 (4), service (4), application (4; 0 stands for all of them) -> cells
//	evidence hour since 1970 (4), batch id -> what the batch added to which cells; kept for some days, and as long as all
//	         of them take no more than an eighth of what the file may. The same key and a zero byte -> how many more of
//	         its reports were ambiguous than that says
//
// The values of days and evidence are a zero byte, the value, and a CRC32C of key and value. Names and numbers say the same
// twice and compared. Values of older versions, without a checksum, get one in the background; flag 2 of
// the state says that all have.
//
// A user key is never stored: its application is called user_key: and twelve hexadecimal digits of its SHA-256.
package ledger
