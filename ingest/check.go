package ingest

import (
	"github.com/reporterd/reporterd/event"
)

// check validates an event whose fields have been read.
func (d *decoder) check(f *fieldReader, e *event.Event) {
	if e.ServiceID == "" {
		e.ServiceID = d.named
	}
	service := d.find(e.ServiceID)
	switch {
	case d.named != "" && e.ServiceID != d.named:
		f.fault("service_id", "is not the service that the subject names")
	case e.ServiceID == "":
		f.fault("service_id", "is required")
	case !d.grant.Serves(e.ServiceID): // the sender must not learn whether it is configured
		d.barred = true
		f.fault("service_id", "is not a service that this token may send for")
	case service == nil:
		f.fault("service_id", "is not a configured service")
	default:
		e.ServiceID = service.id
	}
	if f.found {
		return
	}
	for _, fault := range e.Validate(d.accepted) {
		f.fault(fault.Field, fault.Detail)
	}
	if late := d.services.tooLate(e.Timestamp, d.now); late != nil && !f.found {
		f.fault("timestamp", late.Text)
	}
	if !f.usage {
		f.fault("usage", "is required")
	}
	if metric, refused := service.refuses(e.Usage); refused {
		f.fault("usage."+metric, "is not among the metrics configured for this service")
	}
	if d.services.excess == nil || f.found {
		return
	}
	if why := d.services.excess(e); why != "" {
		f.fault("usage", why)
	}
}
