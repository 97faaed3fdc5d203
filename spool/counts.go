package spool

// Counts is where every accepted event is, in events. At every moment
//
//	Accepted == Delivered + Dead + Pending + Lost
//
// Each figure survives a restart; Duplicates to within what came after the last commit before a crash.
type Counts struct {
	Accepted   uint64 // made durable and acknowledged (or about to be)
	Duplicates uint64 // acknowledged because an event with the same id was kept before; not in Accepted
	Delivered  uint64 // taken by the backend, or had nothing to report
	Dead       uint64 // in dead letter files
	Pending    uint64 // in the journal or in a live batch
	Ambiguous  uint64 // in a report whose outcome is unknown, once for every such report; also in another figure
	Lost       uint64 // taken by a damaged disk
}
