// Package test knows reporterd only from the outside: it builds the binary, starts it, talks to its
// listeners, kills it, damages its files and counts what arrived at the backend. It imports nothing of
// the daemon.
//
// What runs by default needs only Go and ends within a minute. The rest skips with a line that names
// the variable that turns it on:
//
//	REPORTERD_CRASH_CYCLES=300   kills in the crash test (default 12)
//	REPORTERD_CLUSTER_KILLS=100  kills of replicas in the cluster test (default none)
//	REPORTERD_FAULTS=1           a machine that fails for seconds: system calls (strace), descriptors, directories
//	REPORTERD_FAULTS=full        every cell of the matrix of failing system calls (an hour; make soak)
//	REPORTERD_SEED=…             repeats one crash history's decisions
//	REPORTERD_NODE_CLIENT=1      npm's client (node, and `npm ci` in clients/node)
//	REPORTERD_MUTANTS=1          daemons broken on purpose, which the crash test has to find out
//	REPORTERD_SNIPPETS=1         python3 and node, for the manual's examples
//	REPORTERD_PROMETHEUS=1       Prometheus, for the alerts and the dashboard
//	REPORTERD_PACKAGES=1         systemd-analyze; root and mmdebstrap, for the packages
//	REPORTERD_CONTAINER=1        root and podman, for the image
//	REPORTERD_RUNBOOK=1          docs/operating.md, carried out
//	REPORTERD_NIGHT=FILE         with REPORTERD_PACKAGES: a night on a booted Debian, whose transcript goes into FILE
//	REPORTERD_BINARY=…           a binary to test instead of building one
//	REPORTERD_PROFILE=DIR        where the benchmark writes CPU profiles of the daemon
package test

import (
	"fmt"
	"os"
	"testing"

	"github.com/reporterd/reporterd/internal/testparallel"
)

// roleVariable makes this test binary a baseline server instead: the benchmark starts itself again, so
// that the servers it compares are all processes of their own.
const roleVariable = "REPORTERD_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		fmt.Fprintln(os.Stderr, serveBaseline(role))
		os.Exit(1)
	}
	if raceDetector {
		testparallel.Allow("6") // its processes work more than they wait
	} else {
		testparallel.Allow("10")
	}
	code := m.Run()
	removeBuild()
	removeDebian()
	os.Exit(code)
}
