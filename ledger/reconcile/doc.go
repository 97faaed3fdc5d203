// Package reconcile holds the ledger against what 3scale's Analytics counted: did everything that was delivered arrive,
// and is it counted once?
//
// The unit is a cell: a service, an application, a metric and a UTC hour of the timestamp that was sent. The backend
// takes usage that is up to a day old, so a cell can grow until a day after its hour has ended, and a margin for clocks
// and queues: then it is sealed, and what is said of it is final. Counts of a method and of its parents are compared
// each, after what was reported was added up the hierarchy that the portal tells.
//
// Where the sums of a service agree, its applications are not asked for. Where they do not, the applications that the
// ledger knows in those hours are, and the difference is explained by whole batches where exactly one choice of them
// fits: a batch that was taken and is missing in all its cells was dropped behind its 202; a report with an unknown
// outcome that is there in all its cells has landed. Where several choices fit, nothing is guessed.
//
// Other reporters may report usage of the same service. Unless the daemon is its only reporter, a count that is larger than what
// was delivered proves nothing, and is called covered.
package reconcile
