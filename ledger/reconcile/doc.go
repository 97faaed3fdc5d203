// Package reconcile compares the ledger with the counts of 3scale's Analytics: did everything that was delivered arrive, and is
// it counted once?
//
// The unit is a cell: a service, an application, a metric and a UTC hour of the timestamp that was sent. The backend accepts
// usage that is up to a day old, so a cell can grow until a day after its hour has ended, plus a margin for clocks and queues:
// then it is sealed, and its verdict is final. Counts of a method and of its parents are compared separately, after reported
// usage was added up in the portal's hierarchy.
//
// If the sums of a service agree, its applications are not requested. If they differ, the applications that the ledger knows in
// those hours are requested, and the difference is explained by whole batches if exactly one choice of batches fits: a batch that
// was accepted and is missing in all its cells was dropped after its 202; a report with an unknown outcome that is counted in all
// its cells has landed. If several choices fit, none is chosen.
//
// Other reporters may report usage of the same service. Unless the daemon is its only reporter, a count that is larger than what
// was delivered proves nothing; its verdict is "covers".
package reconcile
