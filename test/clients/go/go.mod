module github.com/reporterd/reporterd/test/clients/go

go 1.26.0

// The official client, at the newest version that can be had by name. A module of its own keeps it out
// of the product's module graph.
require github.com/3scale/3scale-go-client v0.5.1
