package event

import "github.com/reporterd/reporterd/threescale"

// Service is one configured service: whose events are taken, and with which credentials it is reported and asked about.
type Service struct {
	ID          string
	Credentials threescale.Credentials
	Metrics     []string // system names; empty: any
}
