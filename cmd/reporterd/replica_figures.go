package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/console"
)

// console is the admin listener of a replica. Figures are those of its own partitions, so that all replicas
// together have all of them; lanes and dead letters are everybody's.
func (r *replica) console(started time.Time, reload reloading) *console.Console {
	return console.New(console.Options{
		Build: build(), Started: started, Pprof: r.config.Admin.Pprof, Log: r.log.Named("console"), Tokens: r.guards.operators, Routes: append(slices.Concat((&bookkeeping{}).routes(), (&reconciliation{}).routes()), compatibleRoutes(http.HandlerFunc(noLedger))...),
		Snapshot: r.snapshot, Scraped: r.scraped, Ready: r.ready, Degraded: func() []string { return r.bus.Load().degraded() }, Flush: r.flush, Reload: reload,
		DeadLetters: r.deadLetters, DeadLetter: r.deadLetter,
		Requeue: r.ordered(requeue), Drop: r.ordered(drop),
		Parking: console.Parking{List: r.parked, Settle: r.unpark},
	})
}

// snapshot adds up what the pipelines count.
func (r *replica) snapshot() console.Snapshot {
	traffic := r.front.Stats()
	sum := console.Snapshot{
		Traffic: []console.Traffic{transport("events", traffic.Events), transport("report", traffic.Reports), transport("nats", traffic.Messages)},
		Held:    console.Held{Bytes: traffic.Held, Limit: traffic.MostHeld},
		Reload:  r.reloads.figures(), NATS: r.bus.Load().figures(), Authorize: authorizations(r.spare.Stats()),
	}
	r.mu.Lock()
	for _, one := range r.latest.Services {
		sum.Services = append(sum.Services, console.Service{ID: one.ID})
	}
	r.mu.Unlock()
	sum.Spool.Sync = "always"
	sum.Connections = r.guards.connections()
	for _, p := range r.pipelines() {
		sum = sum.Plus(p.snapshot())
	}
	sum.Cluster = &console.Cluster{Partitions: r.config.Cluster.Partitions, Spare: r.spared.Load()}
	node := r.node.Load()
	if node == nil {
		sum.Cluster.Unowned = sum.Cluster.Partitions
		return sum
	}
	s := node.Stats()
	sum.Cluster.Owned, sum.Cluster.Unowned, sum.Cluster.Replicas, sum.Cluster.Taken = s.Owned, s.Unowned, s.Replicas, s.Taken
	for _, data := range node.News() {
		var lanes []console.Lane
		if json.Unmarshal(data, &lanes) == nil {
			sum.Lanes = append(sum.Lanes, lanes...)
		}
	}
	return sum
}

func (r *replica) scraped() {
	r.spare.Scraped()
	for _, p := range r.pipelines() {
		p.authorizer.Scraped()
	}
}

// news are the lanes of a partition, for every replica to show.
func news(p *pipeline) []byte {
	data, err := json.Marshal(lanes(p.sender.Lanes()))
	if err != nil {
		return nil
	}
	return data
}

// everywhere calls the owner of each partition.
func (r *replica) everywhere(ctx context.Context, kind string, data []byte, take func(partition int, answer []byte) error) error {
	var all []error
	for p := range r.config.Cluster.Partitions {
		answer, err := r.call(ctx, p, kind, data)
		if err == nil {
			err = take(p, answer)
		}
		if err != nil {
			all = append(all, fmt.Errorf("partition %d: %w", p, err))
		}
	}
	return errors.Join(all...)
}

// flush has every partition flushed.
func (r *replica) flush(ctx context.Context) error {
	return r.everywhere(ctx, callFlush, nil, func(int, []byte) error { return nil })
}

// A dead letter's id begins with its partition here: each counts its own.

func (r *replica) deadLetters(ctx context.Context, q console.DeadLetterQuery) (console.DeadLetters, error) {
	var page console.DeadLetters
	from, cursor := 0, ""
	if q.Cursor != "" {
		var err error
		if from, cursor, err = paged(q.Cursor); err != nil {
			return page, err
		}
	}
	for p := from; p < r.config.Cluster.Partitions; p++ {
		part := q
		part.Cursor, part.Limit = cursor, q.Limit-len(page.Letters)
		cursor = ""
		data, err := json.Marshal(part)
		if err != nil {
			return page, err
		}
		answer, err := r.call(ctx, p, callLetters, data)
		if err != nil {
			return page, err
		}
		var some console.DeadLetters
		if err := json.Unmarshal(answer, &some); err != nil {
			return page, err
		}
		for _, l := range some.Letters {
			named, err := renamed(l, p)
			if err != nil {
				return page, err
			}
			page.Letters = append(page.Letters, named)
		}
		switch {
		case some.Next != "":
			page.Next = strconv.Itoa(p) + "." + some.Next
			return page, nil
		case len(page.Letters) >= q.Limit && p+1 < r.config.Cluster.Partitions:
			page.Next = strconv.Itoa(p+1) + "."
			return page, nil
		}
	}
	return page, nil
}

// renamed puts the partition before a letter's id.
func renamed(letter json.RawMessage, partition int) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(letter, &fields); err != nil {
		return nil, err
	}
	var id string
	if err := json.Unmarshal(fields["id"], &id); err != nil {
		return nil, err
	}
	fields["id"] = json.RawMessage(strconv.Quote(strconv.Itoa(partition) + "." + id))
	return json.Marshal(fields)
}

// partitioned takes an id apart.
func partitioned(id string) (partition int, rest string, err error) {
	first, rest, ok := strings.Cut(id, ".")
	if partition, err = strconv.Atoi(first); !ok || err != nil {
		return 0, "", fmt.Errorf("dead letter %q: %w: expected an id as it is listed, which begins with its partition", id, console.ErrNoDeadLetter)
	}
	return partition, rest, nil
}

func (r *replica) deadLetter(ctx context.Context, id string) (json.RawMessage, error) {
	p, rest, err := partitioned(id)
	if err != nil {
		return nil, err
	}
	answer, err := r.call(ctx, p, callLetter, []byte(rest))
	if err != nil {
		return nil, err
	}
	return renamed(answer, p)
}
