package daemon

// heapFloorBytes is the size of a block that the garbage collector counts as live from the start.
//
// The daemon's heap is a few megabytes while every request leaves some kilobytes of garbage, so the collector would run dozens of
// times a second for little gain. With this block it runs at most every 32 MiB of garbage, which saves about a tenth of the CPU
// of a request of one event (BenchmarkIngest in test, paired). The memory is never accessed, so it is never resident; go_memstats
// shows it.
const heapFloorBytes = 32 << 20

// newHeapFloor returns the block; it counts as long as it is reachable.
func newHeapFloor() []byte { return make([]byte, heapFloorBytes) }
