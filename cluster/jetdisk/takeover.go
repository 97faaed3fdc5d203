package jetdisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// takeOver fences the former owner, and reads the disk. Its own messages are written after any last message; from then on a
// process that does not know them cannot write.
func (d *Disk) takeOver(ctx context.Context) (err error) {
	if d.last, err = d.publishUnfenced(d.directory(), []byte(`{"op":"`+opEpoch+`"}`)); err != nil {
		return err
	}
	d.epoch = d.last
	nodes, names := map[uint64]*node{}, map[string]uint64{}
	if err = d.readTo(ctx, d.directory(), d.last, nodes, names); err != nil {
		return err
	}
	upTo := uint64(0)
	for name, id := range names {
		n := &node{id: id}
		d.names[name], nodes[id] = n, n
		seq, err := d.publishUnfenced(n.subject(d), nil)
		if err != nil {
			return err
		}
		d.o.Reading()
		upTo = max(upTo, seq)
	}
	if upTo > 0 {
		if err = d.readTo(ctx, d.o.Prefix+".f.*", upTo, nodes, nil); err != nil {
			return err
		}
	}
	for _, n := range d.names {
		delete(nodes, n.id)
	}
	for _, n := range nodes { // without a name: their removal was not finished
		d.discardLocked(n)
	}
	return nil
}

// publishUnfenced publishes to a subject without a fence.
func (d *Disk) publishUnfenced(subject string, body []byte) (uint64, error) {
	return d.publish(subject, anyLast, body)
}

// readerLife is how long the servers keep an inactive consumer.
const readerLife = 10 * time.Second

// readerHeartbeat is the interval at which an idle server sends heartbeats. A consumer exists on one server; after two missing
// heartbeats it is created again on another one. The default of nats.go takes half a minute.
const readerHeartbeat = time.Second

// readerBytes is how much the servers may send ahead: a server disconnects a client with 64 MiB of unread data, and a replica may
// take over all partitions at once.
const readerBytes = 1 << 20

// readTo reads the messages of some subjects, in the order of the stream, up to a sequence number.
func (d *Disk) readTo(ctx context.Context, subjects string, last uint64, nodes map[uint64]*node, names map[string]uint64) error {
	consumer, err := d.o.JetStream.OrderedConsumer(ctx, d.o.Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subjects}, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: readerLife,
	})
	if err != nil {
		return err
	}
	defer func() { // otherwise the consumer stays for readerLife
		if info := consumer.CachedInfo(); info != nil {
			_ = d.stream.DeleteConsumer(ctx, info.Name)
		}
	}()
	messages, err := consumer.Messages(jetstream.PullHeartbeat(readerHeartbeat), jetstream.PullMaxBytes(readerBytes))
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		m, err := messages.Next()
		if err != nil {
			return errors.Join(err, ctx.Err())
		}
		at, err := m.Metadata()
		if err != nil {
			return err
		}
		d.o.Reading()
		if err := d.read(m.Subject(), at.Sequence.Stream, m.Data(), nodes, names); err != nil {
			return fmt.Errorf("message %d: %w", at.Sequence.Stream, err)
		}
		if at.Sequence.Stream >= last {
			return nil
		}
	}
}

// read applies one message.
func (d *Disk) read(subject string, seq uint64, body []byte, nodes map[uint64]*node, names map[string]uint64) error {
	if subject == d.directory() {
		var r record
		if err := json.Unmarshal(body, &r); err != nil {
			return err
		}
		d.records++
		r.apply(seq, names)
		return nil
	}
	id, err := strconv.ParseUint(strings.TrimPrefix(subject, d.o.Prefix+".f."), 10, 64)
	if err != nil {
		return err
	}
	n := nodes[id]
	if n == nil {
		n = &node{id: id}
		nodes[id] = n
	}
	if len(body) == 0 { // a takeover
		n.last = seq
		return nil
	}
	d.cache.put(seq, body)
	return n.loadLocked(seq, body)
}

// apply applies a change to the directory.
func (r *record) apply(seq uint64, names map[string]uint64) {
	switch r.Op {
	case opCreate:
		names[r.Name] = seq
	case opRename:
		if id, ok := names[r.Name]; ok {
			delete(names, r.Name)
			names[r.To] = id
		}
	case opRemove:
		delete(names, r.Name)
	case opSnapshot:
		clear(names)
		for name, id := range r.Files {
			names[name] = id
		}
	}
}
