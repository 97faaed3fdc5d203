package daemon

import (
	"math"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/batcher"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/ingest"
)

// The parts of the memory limit, as divisors. What is left, a quarter and more, is for everything else: batches that wait, proofs, dead
// letters, connections, and garbage. With the least limit it is a fifth, since requests keep ingest.LeastMemory.
const (
	idsPart            = 3
	authorizationsPart = 4
	requestsPart       = 16
	windowPart         = 16
)

const (
	// idBytes is what an event id takes at most, outside of the garbage collector's memory (BenchmarkDedupeSet of package spool).
	idBytes = 15

	leastIDs            = 1000
	leastAuthorizations = 1 << 20
	leastWindow         = 1 << 20
)

// shares are the bounds of what grows with what clients do. Each is the smaller of its own key or default and its part of the memory
// limit.
type shares struct {
	ids            int   // event ids
	authorizations int64 // bytes
	requests       int64 // bytes
	window         int   // bytes
}

// memoryLimit returns the limit of the process in bytes: that of the configuration, else that of GOMEMLIMIT; 0: there is none.
func memoryLimit(c *config.Config, environment int64) int64 {
	switch {
	case c.MemoryLimit > 0:
		return int64(c.MemoryLimit)
	case environment < math.MaxInt64:
		return environment
	}
	return 0
}

// startLimit is GOMEMLIMIT as it was when the process began, in bytes; math.MaxInt64: not set. limitMemory changes the runtime's limit.
var startLimit = debug.SetMemoryLimit(-1)

// memoryShares returns the shares that a configuration gives.
func memoryShares(c *config.Config) shares { return sharesOf(c, memoryLimit(c, startLimit)) }

// sharesOf divides a limit in bytes; 0: there is none. Each partition of a replica has its own ids, authorizations and window, and one
// replica may own all partitions.
func sharesOf(c *config.Config, limit int64) shares {
	s := shares{c.Dedupe.MaxIDs, int64(c.Authorize.MaxBytes), ingest.MaxMemory, batcher.DefaultWindowBytes}
	if limit == 0 {
		return s
	}
	s.requests = min(s.requests, max(limit/requestsPart, ingest.LeastMemory))
	if c.Spool.Engine == "jetstream" {
		limit /= int64(c.Cluster.Partitions)
	}
	s.ids = min(s.ids, int(max(limit/idsPart/idBytes, leastIDs)))
	s.authorizations = min(s.authorizations, max(limit/authorizationsPart, leastAuthorizations))
	s.window = min(s.window, int(max(limit/windowPart, leastWindow)))
	return s
}

// collected returns the bytes below which the garbage collector keeps its memory: the limit without the ids, which are outside of it.
func (s shares) collected(c *config.Config, limit int64) int64 {
	ids := int64(s.ids) * idBytes
	if c.Spool.Engine == "jetstream" {
		ids *= int64(c.Cluster.Partitions)
	}
	return limit - min(ids, limit/idsPart)
}

// limitMemory has the garbage collector keep the memory limit, says what it is divided into, and returns what undoes that.
func limitMemory(log *zap.Logger, c *config.Config) (undo func()) {
	limit := memoryLimit(c, startLimit)
	if limit == 0 {
		return func() {}
	}
	s := sharesOf(c, limit)
	before := debug.SetMemoryLimit(s.collected(c, limit))
	log.Info("memory limit", zap.Stringer("limit", config.Size(limit)), zap.Int("max_ids", s.ids),
		zap.Stringer("authorizations", config.Size(s.authorizations)), zap.Stringer("requests", config.Size(s.requests)),
		zap.Stringer("window", config.Size(s.window)))
	return func() { debug.SetMemoryLimit(before) }
}
