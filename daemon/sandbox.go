package daemon

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/threescale/sandbox"
)

// RunSandbox serves only the stand-in backend. It returns nil after ctx has ended, or an error if the listener fails.
func RunSandbox(ctx context.Context, log *zap.Logger, address string, o sandbox.Options) error {
	l, err := bind(ctx, log, "sandbox", address, "0660", sandbox.NewServer(sandbox.New(o)))
	if err != nil {
		return err
	}
	broken := make(chan error, 1)
	go func() { broken <- l.serve() }() // ended by shutdown
	if err := until(ctx, broken); err != nil {
		return err
	}
	atMost, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	l.shutdown(atMost)
	log.Info("stopped")
	return nil
}
