package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
	"github.com/reporterd/reporterd/internal/respond"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/spool"
)

// book is the ledger of a daemon that runs, through its admin API, or of a directory that no daemon uses.
type book struct {
	ask   func(ctx context.Context, q url.Values) (json.RawMessage, error)
	names func(ctx context.Context) (console.Names, error)
	close func()
}

// ledgerAnswer is a page of the ledger.
type ledgerAnswer struct {
	Rows   []ledgerRow `json:"rows"`
	Next   string      `json:"next"`
	Missed bool        `json:"missed"`

	Receipts bool `json:"receipts"` // a service has receipts
}

func (b *book) page(ctx context.Context, q url.Values) (page ledgerAnswer, err error) {
	text, err := b.ask(ctx, q)
	if err == nil {
		err = json.Unmarshal(text, &page)
	}
	return page, err
}

// openBook finds out who has the ledger.
func openBook(ctx context.Context, cmd *cobra.Command) (*book, error) {
	if address, _ := cmd.Flags().GetString("admin-url"); address != "" {
		return bookOf(dial(address))
	}
	c, err := directory(cmd)
	if err != nil {
		return nil, err
	}
	inUse, _, err := spool.InUse(c.DataDir)
	if err != nil {
		return nil, failed(err)
	}
	if inUse {
		return bookOf(find(c))
	}
	return storedBook(ctx, c)
}

func bookOf(daemon *client.Client, err error) (*book, error) {
	if err != nil {
		return nil, err
	}
	return &book{ask: daemon.Ledger, names: daemon.Names, close: func() {}}, nil
}

// storedBook opens the ledger of a directory, which must be there and belong to this user: opening writes.
func storedBook(ctx context.Context, c *config.Config) (*book, error) {
	file := filepath.Join(c.DataDir, ledger.FileName)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, failed(fmt.Errorf("%s: there is no ledger, and no daemon uses the directory", file))
	}
	if err := checkOwner(c.DataDir); err != nil {
		return nil, err
	}
	o, closeSpool, err := storedOptions(ctx, c)
	if err != nil {
		return nil, failed(err)
	}
	l, err := ledger.Open(o)
	if err != nil {
		closeSpool()
		return nil, failed(err)
	}
	return &book{
		ask: func(ctx context.Context, q url.Values) (json.RawMessage, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/ledger?"+q.Encode(), nil)
			if err != nil {
				return nil, err
			}
			recorded := respond.NewRecorder()
			l.ServeHTTP(recorded, request)
			if recorded.Status != http.StatusOK {
				var problem struct{ Detail string }
				_ = json.Unmarshal(recorded.Body.Bytes(), &problem)
				return nil, &client.Refusal{Status: recorded.Status, Detail: problem.Detail}
			}
			return recorded.Body.Bytes(), nil
		},
		names: func(context.Context) (n console.Names, err error) {
			for _, s := range c.Services {
				n.Services = append(n.Services, s.ID)
			}
			return n, nil
		},
		close: func() {
			_ = l.Close() // nothing was written
			closeSpool()
		},
	}, nil
}

// storedOptions are those of the ledger of a directory that no daemon uses. Where a service has receipts, the batches on disk show
// which usage 3scale accepted and has not counted yet; they are read until close.
func storedOptions(ctx context.Context, c *config.Config) (o ledger.Options, close func(), err error) {
	o = ledger.Options{Dir: c.DataDir, Keep: c.Ledger.Keep}
	if !slices.ContainsFunc(c.Services, func(s config.Service) bool { return s.Receipts.On() }) {
		return o, func() {}, nil
	}
	in, err := spool.Inspect(ctx, spool.InspectOptions{Dir: c.DataDir})
	if err != nil {
		return o, nil, err
	}
	o.Sent = func(each func(*spool.Batch)) {
		for _, info := range in.Batches() {
			if !info.Sent {
				continue
			}
			if b, _, err := in.Batch(info.ID); err == nil { // a damaged batch is for spool verify
				each(b)
			}
		}
	}
	return o, func() { _ = in.Close() }, nil
}

// ledgerValues offers what the ledger has in a column, of the last three days.
func ledgerValues(column string) values {
	return asked(func(ctx context.Context, daemon *client.Client) (all []string, err error) {
		text, err := daemon.Ledger(ctx, url.Values{"group": {column}, "by": {"month"}, "limit": {"1000"}})
		if err != nil {
			return nil, err
		}
		var page ledgerAnswer
		err = json.Unmarshal(text, &page)
		for _, r := range page.Rows {
			all = append(all, r.AppID+r.Metric) // one of them is empty
		}
		return all, err
	})
}
