// Package ledger accounts for usage: for every service, application, metric and UTC hour, it stores how much was accepted,
// delivered, is dead, and may have been counted more than once.
//
// A goroutine of its own reads the spool's batch log and books it; producers, batcher and sender do not depend on it. The booked
// figures and the place up to which the log was read are one transaction of its database, so each record is booked exactly once,
// also after crashes. The spool keeps ended batches until they are booked, within a limit. A ledger that falls behind that limit,
// or finds damage, reports it (Stats.Missed): its figures are then too low.
//
// # What is counted
//
// Usage, in units of the metric, in the hour of the timestamp that was sent. If a batch was sent with another timestamp than its
// own, its usage is booked in the hour it was sent for, and counted there as restamped. In every cell
//
//	accepted = delivered + dead + lost + pending
//
// Accepted usage is booked once it is sealed in a batch, a flush interval after it was acknowledged. Ambiguous counts each report
// whose outcome is unknown, in addition to the other figures: this usage may have been counted twice.
//
// Metrics are stored as they were reported. The usage of methods is added to their parents on reading, if the hierarchy is known,
// so that it can become known later.
//
// # The file
//
// One bbolt database, <data_dir>/ledger.db:
//
//	meta     state -> version (2), flags (1: figures may be wrong, 2: every value has a checksum), the sequence number of
//	         the batch log that is read next (8, big-endian, as all integers here), the bytes of all evidence (8), how
//	         many names have numbers (8), up to 16 places of the log (sequence number 8, checksum of the frame before it
//	         4), and a CRC32C of the key and all of that. Older versions have the values next, evidence and missed instead
//	names    kind, text -> number (4 bytes); kinds are s service, a application, m metric
//	numbers  kind, number -> text
//	days     day since 1970 (4), service (4), application (4; 0 stands for all of them) -> cells
//	evidence hour since 1970 (4), batch id -> what the batch added to which cells; kept for some days, and at most an
//	         eighth of the maximum file size. The same key and a zero byte -> the number of further ambiguous reports of
//	         the batch
//
//	aliases  service (4), number of a user key's name (4) -> number of the application (4). It is missing until there is an alias
//
// The values of days, evidence and aliases are a zero byte, the value, and a CRC32C of key and value. Names and numbers contain the same
// pairs and are compared. Values of older versions have no checksum, and get one in the background; flag 2 of the state says that
// all have one.
//
// A user key is never stored: its application is called user_key: and twelve hexadecimal digits of its SHA-256, until its id is known
// (Learn, Options.Resolve). Then the name is an alias of the id. An alias and the move of all rows that were booked under it are one
// transaction, so that no state of the file has a row under both names; evidence stays as it is and is translated when it is read.
package ledger
