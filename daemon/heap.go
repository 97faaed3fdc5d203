package daemon

// heapFloorBytes is how much the garbage collector takes for live from the start.
//
// The daemon's heap is a few megabytes while every request leaves some kilobytes behind, so the collector
// would run dozens of times a second over next to nothing. With this floor it runs every 32 MiB of
// garbage at the least, which saves about a tenth of the CPU of a request of one event (BenchmarkIngest in
// test, paired). The memory is never touched, hence never resident; go_memstats shows it.
const heapFloorBytes = 32 << 20

// newHeapFloor returns the floor; it lasts as long as it is reachable.
func newHeapFloor() []byte { return make([]byte, heapFloorBytes) }
