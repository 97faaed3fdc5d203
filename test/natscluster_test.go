package test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// natsServers is how many servers a cluster has: one may be away.
const natsServers = 3

// natsCluster is a cluster of real NATS servers in this process, each with its store on disk. Every
// connection between two of them, and every connection of a client, goes through a cable that can be cut.
type natsCluster struct {
	t       testing.TB
	root    string
	routes  [natsServers][natsServers]*cable // from one to another
	clients [natsServers]*cable
	ports   [natsServers]ports
	servers [natsServers]*server.Server // nil: stopped
}

// ports are where one server listens, the same after each restart.
type ports struct{ client, route int }

// newNATSCluster starts the servers and returns once they have a leader.
func newNATSCluster(t testing.TB) *natsCluster {
	t.Helper()
	c := &natsCluster{t: t, root: t.TempDir()}
	for i := range c.ports {
		c.ports[i] = ports{client: freePort(t), route: freePort(t)}
	}
	for i := range c.routes {
		c.clients[i] = newCable(t, loopback(c.ports[i].client))
		for j := range c.routes[i] {
			if i != j {
				c.routes[i][j] = newCable(t, loopback(c.ports[j].route))
			}
		}
	}
	for i := range c.servers {
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.stop(i)
		}
	})
	c.led()
	return c
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePort is a port that no process has at the moment. It is below those that the kernel gives to connections, so that none of them
// takes it before it is listened on, or while a server is stopped.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 15_000 + rand.IntN(15_000)
		l, err := net.Listen("tcp", loopback(port))
		if err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
	require.Fail(t, "no port is free")
	return 0
}

// start runs a server, with the store it had before.
func (c *natsCluster) start(i int) {
	c.t.Helper()
	name := fmt.Sprintf("nats-%d", i)
	o := &server.Options{
		ServerName: name, Host: "127.0.0.1", Port: c.ports[i].client, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
		JetStream: true, StoreDir: filepath.Join(c.root, name), JetStreamMaxStore: 4 << 30, JetStreamMaxMemory: 64 << 20,
		// What the others learn about this server's routes leads nowhere: they know the cables already.
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: c.ports[i].route, Advertise: "127.0.0.1:1", PoolSize: -1, NoAdvertise: true},
	}
	for _, to := range c.routes[i] {
		if to != nil {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: to.proxy.Listen})
		}
	}
	s, err := server.NewServer(o)
	require.NoError(c.t, err)
	s.Start()
	require.True(c.t, s.ReadyForConnections(20*time.Second), "%s is ready", name)
	c.servers[i] = s
}

// stop ends a server as a machine does that is shut down; its store stays.
func (c *natsCluster) stop(i int) {
	if s := c.servers[i]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.servers[i] = nil
	}
}

// led waits until the cluster has a leader for its streams, and everybody knows.
func (c *natsCluster) led() {
	c.t.Helper()
	eventually(c.t, 60*time.Second, "the NATS cluster has a leader", func() bool {
		leaders := 0
		for _, s := range c.servers {
			if s != nil && s.JetStreamIsLeader() {
				leaders++
			}
		}
		return leaders == 1
	})
	eventually(c.t, 60*time.Second, "every NATS server is current", func() bool {
		for _, s := range c.servers {
			if s != nil && !s.JetStreamIsCurrent() {
				return false
			}
		}
		return true
	})
}

// isolate cuts a server off from the others; wholly: from its clients, too.
func (c *natsCluster) isolate(i int, wholly bool) {
	for j := range c.routes {
		if i != j {
			c.routes[i][j].cut()
			c.routes[j][i].cut()
		}
	}
	if wholly {
		c.clients[i].cut()
	}
}

// reunite ends an isolation.
func (c *natsCluster) reunite(i int, wholly bool) {
	for j := range c.routes {
		if i != j {
			c.routes[i][j].join()
			c.routes[j][i].join()
		}
	}
	if wholly {
		c.clients[i].join()
	}
}

// urls are the servers for nats.url, the i-th first.
func (c *natsCluster) urls(first int) string {
	all := ""
	for n := range natsServers {
		if n > 0 {
			all += ","
		}
		all += "nats://" + c.clients[(first+n)%natsServers].proxy.Listen
	}
	return all
}
