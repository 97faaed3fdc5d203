package sender

import (
	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/threescale"
)

// revoke ends the proofs of what a refusal of the report names, so that the parts into which the batch is divided,
// and all other batches, do not send it together with other applications. Where the refusal leaves open which
// application it is about, since keys are removed from its text, all that can be meant are asked for again.
func (d *delivery) revoke(a *threescale.Answer) {
	c, ok := d.credentialsNow()
	if d.options.Proofs == nil || !ok {
		return
	}
	scope := proof.Scope{ServiceID: d.batch.Lane.ServiceID, Credentials: c}
	refusal := proof.Refusal{Status: a.Status, Code: a.Code, Text: a.Text}
	single := d.single()
	for _, i := range d.fresh {
		t := &d.batch.Transactions[i].Transaction
		switch app := t.Application; a.Code {
		case threescale.CodeApplicationNotFound:
			if single || a.Text == threescale.ApplicationNotFound(app.ID).Text {
				d.options.Proofs.Deny(scope, app, "", refusal, d.sent)
			}
		case threescale.CodeUserKeyInvalid:
			if single {
				d.options.Proofs.Deny(scope, app, "", refusal, d.sent)
			} else if app.UserKey != "" {
				d.options.Proofs.Revoke(scope, app, "")
			}
		case threescale.CodeMetricInvalid:
			for _, u := range t.Usage {
				if a.Text == threescale.MetricInvalid(u.Metric).Text {
					d.options.Proofs.Deny(scope, app, u.Metric, refusal, d.sent)
				}
			}
		}
	}
}
