package replica

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
)

const (
	// wholeTime limits the wait for the figures of partitions, and wholeOwner the part of it for an owner.
	wholeTime  = 2 * time.Second
	wholeOwner = 250 * time.Millisecond

	// lanesNamed bounds the lanes of a partition that an announcement names: a message takes a megabyte at most.
	lanesNamed = 100
)

// news is what the owner of a partition announces of it twice a second.
type news struct {
	Lanes  []console.Lane
	Events *console.Events `json:",omitempty"` // they balance; nil: from an earlier version
}

// newsOf returns the news of a partition.
func newsOf(p *partition.Partition) []byte {
	events := p.Events()
	data, err := json.Marshal(news{p.Lanes(lanesNamed), &events})
	if err != nil {
		return nil
	}
	return data
}

// readNews decodes news; those of an earlier version are lanes only.
func readNews(data []byte) (n news) {
	if json.Unmarshal(data, &n) != nil {
		n = news{}
		_ = json.Unmarshal(data, &n.Lanes) // or they are of a later version
	}
	return n
}

// figures is what the owner of a partition tells of it.
type figures struct {
	Owner string
	console.Snapshot
}

// figuresOf answers a call for the figures of a partition. The call names how many lanes are to be named.
func (r *Replica) figuresOf(p *partition.Partition, data []byte) ([]byte, error) {
	named, err := strconv.Atoi(string(data))
	if err != nil {
		return nil, err
	}
	return json.Marshal(figures{r.name(), p.Snapshot(named)})
}

// name is the host name and the id of this replica.
func (r *Replica) name() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if node := r.node.Load(); node != nil {
		return host + "/" + node.ID()
	}
	return host
}

// Whole adds up the figures of all partitions, as their owners tell them, and those that this replica has besides. For a partition
// without an answer it has the events that an owner announced last: each partition's balance, and so does the sum, also while
// partitions move.
func (r *Replica) Whole(ctx context.Context, lanes int) console.Snapshot {
	sum := r.own()
	sum.Cluster.Parts = make([]console.ClusterPart, r.options.Cluster.Partitions)
	node := r.node.Load()
	var latest []cluster.News
	if node != nil {
		latest = node.News()
	}
	for p, got := range r.askFigures(ctx, node, lanes) {
		part := console.ClusterPart{Partition: p}
		if got != nil {
			part.Owner, part.Events, part.At = got.Owner, got.Events, time.Now()
			r.remember(part)
			sum = sum.Plus(got.Snapshot)
			sum.Lanes = append(sum.Lanes, got.Lanes...)
		} else {
			part = r.remembered(p)
			if p < len(latest) && latest[p].Data != nil {
				said := readNews(latest[p].Data)
				sum.Lanes = append(sum.Lanes, said.Lanes...)
				if said.Events != nil && latest[p].At.After(part.At) {
					part.Events, part.At = *said.Events, latest[p].At
				}
			}
			sum = sum.Plus(console.Snapshot{Events: part.Events})
		}
		sum.Cluster.Parts[p] = part
	}
	return sum
}

// remember keeps what an owner answered, for the time when none does.
func (r *Replica) remember(part console.ClusterPart) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.told[part.Partition]; last.At.Before(part.At) {
		r.told[part.Partition] = part
	}
}

// remembered returns what an owner of a partition answered last, without the owner.
func (r *Replica) remembered(partition int) console.ClusterPart {
	r.mu.Lock()
	defer r.mu.Unlock()
	part := r.told[partition]
	part.Partition, part.Owner = partition, ""
	return part
}

// askFigures asks the owners of all partitions at once; nil: no answer.
func (r *Replica) askFigures(ctx context.Context, node *cluster.Node, lanes int) []*figures {
	all := make([]*figures, r.options.Cluster.Partitions)
	if node == nil {
		return all
	}
	ctx, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	data := []byte(strconv.Itoa(lanes))
	var asking sync.WaitGroup
	for p := range all {
		asking.Go(func() { // ends with ctx
			answer, err := node.Call(ctx, p, callFigures, data, wholeOwner)
			var got figures
			if err == nil && json.Unmarshal(answer, &got) == nil && got.Owner != "" {
				all[p] = &got
			}
		})
	}
	asking.Wait()
	return all
}
