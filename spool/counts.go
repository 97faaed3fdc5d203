package spool

// Counts says where all accepted events are, in events. At every moment
//
//	Accepted == Delivered + Dead + Pending + Lost
//
// Each figure survives a restart. Of Duplicates, a crash loses those counted after the last commit.
type Counts struct {
	Accepted   uint64 // made durable and acknowledged (or about to be)
	Duplicates uint64 // acknowledged because an event with the same id was accepted before; not in Accepted
	Delivered  uint64 // accepted by the backend, or without usage to report
	Dead       uint64 // in dead letter files
	Pending    uint64 // in the journal or in a live batch
	Ambiguous  uint64 // in a report whose outcome is unknown, once for each such report; also in another figure
	Lost       uint64 // lost to damage of the disk
}
