package daemon

import (
	"context"
	"errors"
	"fmt"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/threescale"
)

// ReceiptFinding is what 3scale says of the receipts of one service. Problem is empty when reports can carry them.
type ReceiptFinding struct {
	ServiceID string `json:"service_id"`
	Problem   string `json:"problem"`
}

// CheckReceipts asks 3scale for the receipt applications and metrics of all services that have some, and changes nothing. An
// error is about the configuration.
func CheckReceipts(ctx context.Context, c *config.Config) ([]ReceiptFinding, error) {
	auth, err := newAuthentication(c)
	if err != nil {
		return nil, err
	}
	client, err := threescale.NewClient(threescale.ClientOptions{URL: c.Backend.URL, Timeout: c.Backend.Timeout, Trust: &auth.backend})
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	receipts, credentials := receiptsOf(c.Services), make(map[string]threescale.Credentials)
	for _, s := range eventServices(c.Services) {
		credentials[s.ID] = s.Credentials
	}
	var findings []ReceiptFinding
	for _, s := range c.Services {
		r, on := receipts[s.ID]
		if !on {
			continue
		}
		f := ReceiptFinding{ServiceID: s.ID}
		if err := sender.CheckReceipts(ctx, client, s.ID, credentials[s.ID], r); err != nil {
			f.Problem = err.Error()
		}
		findings = append(findings, f)
	}
	if len(findings) == 0 {
		return nil, errors.New("services: none has receipts")
	}
	return findings, nil
}
