package spool_test

// change replaces old by new in a file; old stands there once.
type change struct{ file, old, new string }

// mutant is one way to break the spool.
type mutant struct {
	name    string
	changes []change
}

// mutants are the mistakes that a log is lost by.
var mutants = []mutant{}
