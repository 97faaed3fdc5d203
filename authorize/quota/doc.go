// Package quota counts the usage of applications that was accepted here, holds it against their limits, and remembers which
// part of it 3scale's counters contain.
//
// What counts against a limit is what the backend had counted plus what was accepted here and is not in that figure yet
// (limit.go), in each period (metricusage.go) and up the hierarchy of metrics (hierarchy.go). Usage is added once, when it is
// accepted; it is subtracted when it becomes a dead letter, and moves to the backend's side when the backend counted it (A2, A3).
//
// A Tracker begins to follow usage with the first authorization. What was accepted before and is still pending is read beside
// everything else (backlog.go, A5).
//
// The package never asks the backend: authorize does, and hands over what an answer says (Application.Learn).
package quota
