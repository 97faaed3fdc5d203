// Package testparallel lets tests that wait run beside each other. Tests use it, and nothing else.
package testparallel

import "flag"

// Allow lets so many tests that say t.Parallel run at once, however few processors there are, unless -parallel says how many: tests of
// timers, servers and processes wait far longer than they work. TestMain calls it before m.Run.
func Allow(n string) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		_ = flag.Set("test.parallel", n) // it is a number
	}
}
