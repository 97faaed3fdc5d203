package config

import "time"

// Backend is the 3scale backend.
type Backend struct {
	// The backend's address: 3scale's own, or that of an on-premises installation. It is called through the proxy of the daemon's
	// environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), which a reload does not read again.
	URL string `key:"url" kind:"url" need:"true"`
	// How long one call may take from first to last byte. A report that passes it may have been counted
	// all the same, so short values cause what they seem to cure.
	Timeout time.Duration `key:"timeout" min:"100ms" max:"5m"`
	// Takes 3scale calls for services that are not listed, and delivers them with the credentials they
	// carry. `verify`: 3scale is asked about credentials at their first use, and again while it refuses them:
	// reports with credentials that it refuses get its 403. While it cannot be asked, they are taken. `trust`:
	// reports are taken without asking; those that 3scale refuses are kept until they are too old. `off`: only
	// listed services are taken; it is the default where `auth.tokens_file` is given and services are listed.
	Passthrough Passthrough `key:"passthrough" oneof:"verify,trust,off"`
	// How many pairs of a service that is not listed and its credentials may have undelivered usage; reports of one pair
	// more get 429. Each is a queue of its own, and listed services are served first.
	PassthroughLanes int `key:"passthrough_lanes" min:"1" max:"1000000"`
	// How much of `spool.max_bytes` the undelivered usage of services that are not listed may take, in percent, where services are
	// listed; beyond it their reports get 429. Where none is listed they may take all of it.
	PassthroughShare int `key:"passthrough_share" min:"1" max:"100"`
	// Authorities to trust for `backend.url` instead of the system's, PEM.
	CAFile string `key:"ca_file" kind:"file" reload:"file"`
}
