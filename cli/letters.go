package cli

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
	"github.com/reporterd/reporterd/daemon"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/spool"
)

// letters are the dead letters of a daemon that runs, through its admin API, or of a directory that no daemon
// uses. User keys are redacted, unless they were asked for.
type letters interface {
	page(ctx context.Context, q console.DeadLetterQuery) (page []spool.DeadLetter, next string, err error)
	one(ctx context.Context, id string) (spool.DeadLetter, error)
	order(ctx context.Context, do partition.Action, o console.DeadLetterOrder) (console.DeadLetterOutcome, error)
	names(ctx context.Context) (console.Names, error)
	close() error
}

// openLetters finds out who has the dead letters. Those of a directory in use can be read there as well, which
// is the only way to user keys.
func openLetters(ctx context.Context, cmd *cobra.Command, reveal bool) (letters, error) {
	if address, _ := cmd.Flags().GetString("admin-url"); address != "" {
		if reveal {
			return nil, misuse(errors.New("--reveal-user-keys: the admin API never tells user keys: read them in the directory, without --admin-url"))
		}
		return remoteOf(dial(address))
	}
	c, err := directory(cmd)
	if err != nil {
		return nil, err
	}
	inUse, _, err := spool.InUse(c.DataDir)
	if err != nil {
		return nil, failed(err)
	}
	if inUse && !reveal {
		return remoteOf(find(c))
	}
	stored, err := spool.OpenLetters(ctx, spool.InspectOptions{Dir: c.DataDir})
	if err != nil {
		return nil, failed(err)
	}
	return &local{config: c, stored: stored, reveal: reveal}, nil
}

// local is a directory. It is opened as the daemon would, lock and all, when something is to change.
type local struct {
	config *config.Config
	stored *spool.Letters
	reveal bool
	spool  *spool.Spool // nil until then
}

func (l *local) shown(d spool.DeadLetter) spool.DeadLetter {
	if l.reveal {
		return d
	}
	return d.Redacted()
}

func (l *local) page(_ context.Context, q console.DeadLetterQuery) ([]spool.DeadLetter, string, error) {
	page, next, err := l.stored.DeadLetters(partition.QueryOf(q))
	for i := range page {
		page[i] = l.shown(page[i])
	}
	return page, next, err
}

func (l *local) one(_ context.Context, id string) (spool.DeadLetter, error) {
	d, err := l.stored.DeadLetter(id)
	return l.shown(d), err
}

func (l *local) order(_ context.Context, do partition.Action, o console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
	if l.spool == nil {
		if err := checkOwner(l.config.DataDir); err != nil {
			return console.DeadLetterOutcome{}, err
		}
		s, err := openSpool(l.config)
		if err != nil {
			return console.DeadLetterOutcome{}, err
		}
		l.spool = s
	}
	out, _, err := partition.ApplyOrder(l.spool, do, o)
	return out, err
}

// names are the configured services, the reasons that are known, and what stored letters have.
func (l *local) names(ctx context.Context) (console.Names, error) {
	services, reasons := map[string]bool{}, map[string]bool{}
	for d, err := range each(ctx, l, console.DeadLetterQuery{Limit: letterPage}, nil) {
		if err != nil {
			return console.Names{}, err
		}
		services[d.ServiceID], reasons[d.Reason.Code] = true, true
	}
	for _, code := range daemon.Reasons {
		reasons[code] = true
	}
	for _, s := range l.config.Services {
		services[s.ID] = true
	}
	if len(l.config.Services) == 0 {
		clear(services) // there is no configuration to hold a name against
	}
	return console.Names{Services: slices.Sorted(maps.Keys(services)), Reasons: slices.Sorted(maps.Keys(reasons))}, nil
}

func (l *local) close() error {
	if l.spool == nil {
		return nil
	}
	return l.spool.Close()
}

func remoteOf(daemon *client.Client, err error) (letters, error) {
	if err != nil {
		return nil, err
	}
	return &remote{daemon}, nil
}

// remote has a running daemon do it.
type remote struct{ daemon *client.Client }

func (r *remote) page(ctx context.Context, q console.DeadLetterQuery) ([]spool.DeadLetter, string, error) {
	page, err := r.daemon.DeadLetters(ctx, q)
	if err != nil {
		return nil, "", err
	}
	letters := make([]spool.DeadLetter, len(page.Letters))
	for i, text := range page.Letters {
		if err := json.Unmarshal(text, &letters[i]); err != nil {
			return nil, "", err
		}
	}
	return letters, page.Next, nil
}

func (r *remote) one(ctx context.Context, id string) (d spool.DeadLetter, err error) {
	text, err := r.daemon.DeadLetter(ctx, id)
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	return d, err
}

func (r *remote) order(ctx context.Context, do partition.Action, o console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
	return r.daemon.OrderDeadLetters(ctx, string(do), o)
}

func (r *remote) names(ctx context.Context) (console.Names, error) { return r.daemon.Names(ctx) }

func (r *remote) close() error { return nil }

// openSpool opens the data directory of a daemon that does not run. It returns once it was read.
func openSpool(c *config.Config) (*spool.Spool, error) {
	s, _, err := spool.Open(daemon.SpoolOptions(c))
	return s, err
}
