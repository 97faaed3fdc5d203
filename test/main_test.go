// Package test knows reporterd only from the outside: it builds the binary, starts it, talks to its
// listeners, kills it, damages its files and counts what arrived at the backend. It imports nothing of
// the module.
//
// What runs by default needs only Go and ends within a minute. The rest skips with a line that names
// the variable that turns it on:
//
//	REPORTERD_CRASH_CYCLES=300   kills in the crash test (default 12)
//	REPORTERD_SEED=…             repeats one crash history's decisions
//	REPORTERD_NODE_CLIENT=1      npm's client (node, and `npm ci` in clients/node)
//	REPORTERD_MUTANTS=1          daemons broken on purpose, which the crash test has to find out
//	REPORTERD_BINARY=…           a binary to test instead of building one
//	REPORTERD_PROFILE=DIR        where the benchmark writes CPU profiles of the daemon
package test

import (
	"fmt"
	"os"
	"testing"
)

// roleVariable makes this test binary a baseline server instead: the benchmark starts itself again, so
// that the servers it compares are all processes of their own.
const roleVariable = "REPORTERD_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		fmt.Fprintln(os.Stderr, serveBaseline(role))
		os.Exit(1)
	}
	code := m.Run()
	removeBuild()
	os.Exit(code)
}
