package console

// Services as labels: the first of the configured ones, in the order of the file, have their own value. All other services share
// one, including those that are only passed through, so that neither a long file nor a producer can create an unlimited number of
// series.
const (
	maxNamedServices = 100
	otherServices    = "other"
	otherMetrics     = "other" // of a service that has more than the ledger names
)

// Service is one configured service.
type Service struct {
	ID string
	Ended
}

// Ended is the number of events by outcome since the daemon started.
type Ended struct{ Delivered, Dead uint64 }

// serviceFigures are the sums over the lanes of a service, or of all that share a label.
type serviceFigures struct {
	Ended
	lanes   map[string]float64 // by state
	batches int
	events  uint64
	oldest  float64 // seconds
}

var laneStates = []string{"flowing", "retrying", "held", "draining", "parked"}

// byService sums up the figures by label, in the order of the configuration.
func byService(s *Snapshot, visit func(label string, f *serviceFigures)) {
	sums := map[string]*serviceFigures{otherServices: {Ended: s.Others, lanes: map[string]float64{}}}
	named := make([]string, 0, maxNamedServices)
	for _, service := range s.Services {
		if len(named) < maxNamedServices && service.ID != otherServices {
			named = append(named, service.ID)
			sums[service.ID] = &serviceFigures{Ended: service.Ended, lanes: map[string]float64{}}
			continue
		}
		sums[otherServices].Delivered += service.Delivered
		sums[otherServices].Dead += service.Dead
	}
	for i := range s.Lanes {
		l := &s.Lanes[i]
		sum := sums[l.ServiceID]
		if sum == nil || l.PassedOn {
			sum = sums[otherServices]
		}
		sum.lanes[l.State] += float64(l.count())
		sum.batches += l.Batches
		sum.events += l.Events
		sum.oldest = max(sum.oldest, l.OldestAge.Seconds())
	}
	for _, label := range append(named, otherServices) {
		visit(label, sums[label])
	}
}

// ofServices makes the each function of a family from a figure.
func ofServices(figure func(*serviceFigures) float64) func(*Snapshot, func(string, float64)) {
	return func(s *Snapshot, put func(string, float64)) {
		byService(s, func(label string, f *serviceFigures) { put(label, figure(f)) })
	}
}

// byMetric sums up delivered usage by service and metric, with the labels of byService. Usage of services that share a label shares one
// metric, since units of different services have nothing in common.
func byMetric(s *Snapshot, put func(float64, ...string)) {
	if s.Ledger == nil {
		return
	}
	named := make(map[string]bool, maxNamedServices)
	for _, service := range s.Services[:min(len(s.Services), maxNamedServices)] {
		named[service.ID] = service.ID != otherServices
	}
	sums := map[[2]string]uint64{{otherServices, otherMetrics}: 0}
	for _, u := range s.Ledger.Usage {
		switch {
		case !named[u.ServiceID]:
			sums[[2]string{otherServices, otherMetrics}] += u.Units
		case u.Metric == "":
			sums[[2]string{u.ServiceID, otherMetrics}] += u.Units
		default:
			sums[[2]string{u.ServiceID, u.Metric}] += u.Units
		}
	}
	for labels, units := range sums {
		put(float64(units), labels[:]...)
	}
}

// services are the metric families by service. The first 100 of the configuration are named.
var services = []family{
	{kind: gauge, name: "reporterd_services", help: "Configured services.",
		value: func(s *Snapshot) float64 { return float64(len(s.Services)) }},
	{kind: gauge, name: "reporterd_service_lanes", labels: []string{"service_id", "state"},
		help: "Lanes of a service by state. Only the first 100 configured services are named, the rest share other.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			byService(s, func(label string, f *serviceFigures) {
				for _, state := range laneStates { // all of them, so that an alert clears at zero
					put(f.lanes[state], label, state)
				}
			})
		}},
	{kind: gauge, name: "reporterd_service_batches", label: "service_id", help: "Sealed batches of a service that wait for delivery.",
		each: ofServices(func(f *serviceFigures) float64 { return float64(f.batches) })},
	{kind: gauge, name: "reporterd_service_events", label: "service_id", help: "Events of a service in sealed batches that wait for delivery.",
		each: ofServices(func(f *serviceFigures) float64 { return float64(f.events) })},
	{kind: gauge, name: "reporterd_service_oldest_age_seconds", label: "service_id", help: "Age of a service's oldest event in a sealed batch; 0: none.",
		each: ofServices(func(f *serviceFigures) float64 { return f.oldest })},
	{kind: counter, name: "reporterd_service_events_delivered_total", label: "service_id", help: "Events of a service that 3scale accepted since the start; with receipts, that it counted.",
		each: ofServices(func(f *serviceFigures) float64 { return float64(f.Delivered) })},
	{kind: counter, name: "reporterd_service_usage_delivered_total", labels: []string{"service_id", "metric"},
		help:   "Usage of a service's metric that was booked as delivered since the start, in units of the metric. Of the first 100 configured services, the first 20 metrics that were booked are named, the rest share other. Absent without a ledger.",
		series: byMetric},
	{kind: counter, name: "reporterd_service_events_dead_total", label: "service_id", help: "Events of a service that became dead letters since the start.",
		each: ofServices(func(f *serviceFigures) float64 { return float64(f.Dead) })},
}
