# The same commands as .ci/run, one by one.
.PHONY: build test lint fuzz crash cluster bench soak release

build:
	go build -o bin/reporterd ./cmd/reporterd

test:
	go test ./...

lint:
	go vet ./...
	go -C test/clients/go vet ./...
	go tool -modfile=.ci/tools/go.mod staticcheck ./...

fuzz:
	.ci/fuzz 60s

cluster:
	REPORTERD_CLUSTER_KILLS=100 go test -count=1 -timeout 30m -v -run '^TestCluster$$' ./test

crash:
	REPORTERD_CRASH_CYCLES=300 go test -count=1 -timeout 30m -v -run '^TestCrash$$' ./test

bench:
	go test -run '^$$' -bench . -benchtime 1x ./test
	go test -run '^$$' -bench 'BenchmarkLedger|BenchmarkNewNames' -benchtime 1x ./ledger
	go test -run '^$$' -bench 'BenchmarkDedupeSet|BenchmarkReadyWithIDs|BenchmarkLetters' -benchtime 1x ./spool

# Everything of a release, in dist/: see deploy/build.
release:
	go mod verify
	deploy/build dist

# What takes too long for CI.
soak:
	REPORTERD_MUTANTS=1 go test -count=1 -timeout 60m -v -run Mutant ./spool ./sender/receipt ./ledger ./ingest/traffic ./test
	REPORTERD_CRASH_CYCLES=3000 go test -count=1 -timeout 120m -v -run '^TestCrash$$' ./test
	REPORTERD_MODEL_HISTORIES=100000 go test -count=1 -timeout 180m -v -run '^TestModel(Trouble|Restarts)$$' ./spool
	REPORTERD_MODEL_HISTORIES=100000 go test -count=1 -timeout 60m -v -run '^TestModel$$' ./sender/receipt
	REPORTERD_CONVERSATIONS=1000000 go test -count=1 -timeout 60m -v -run '^TestDifferential$$' ./ingest/traffic
	REPORTERD_GROWTH=1 go test -count=1 -timeout 30m -v -run '^TestGrowth$$' ./sender
	REPORTERD_OUTAGE=10000x100 go test -count=1 -timeout 120m -v -run '^TestOutageOfAnHour$$' ./daemon/partition
	REPORTERD_WEEK=1 go test -count=1 -timeout 120m -v -run '^TestWeek$$' ./daemon/partition
	REPORTERD_RECEIPTS=1 go test -count=1 -timeout 20m -v -run '^TestReceiptEvidence$$' ./sender
	REPORTERD_RECEIPTS=1 go test -count=1 -timeout 90m -v -run '^(TestReceiptsHeal|TestReceiptsLong|TestLimitWithReceipts.*)$$' ./test
	REPORTERD_STREAM_KILLS=10 go test -count=1 -timeout 20m -v -run '^TestStreamKilled$$' ./test
	REPORTERD_STRANGERS=100000 go test -count=1 -timeout 30m -v -run "^TestStrangersBesideConfiguredServices$$" ./test
	REPORTERD_READS=100000 go test -count=1 -timeout 30m -v -run "^TestReadsAtSpeed$$" ./ledger
	REPORTERD_LIVES=10000 go test -count=1 -timeout 60m -v -run "^TestHistories$$" ./authorize
	REPORTERD_FAULTS=full go test -count=1 -timeout 120m -v -run '^TestSyscallFaults$$' ./test
	REPORTERD_RUNBOOK=1 go test -count=1 -timeout 20m -v -run '^TestRunbook$$' ./test
	REPORTERD_COLD=1 go test -count=1 -timeout 30m -v -run '^TestColdRelease$$' ./test
	REPORTERD_PACKAGES=1 REPORTERD_NIGHT=$(CURDIR)/docs/night.md go test -count=1 -timeout 30m -v -run '^TestNight$$' ./test
