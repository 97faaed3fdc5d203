package jetdisk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
)

// connectWith runs a server whose messages are at most maxPayload bytes, with a stream for disks, and returns a connection.
func connectWith(t testing.TB, maxPayload int32) jetstream.JetStream {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, MaxPayload: maxPayload, JetStream: true, StoreDir: t.TempDir(),
	})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	conn, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "R", Subjects: []string{"r.>"}, Discard: jetstream.DiscardNew})
	require.NoError(t, err)
	return js
}

// openAs opens the disk with the message size that replicas use.
func openAs(t testing.TB, js jetstream.JetStream) *jetdisk.Disk {
	t.Helper()
	d, err := jetdisk.Open(t.Context(), jetdisk.Options{JetStream: js, Stream: "R", Prefix: "r.0", Patience: 2 * time.Second})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d
}

// writeLetter writes a file as a dead letter is written.
func writeLetter(t testing.TB, d *jetdisk.Disk, name, content string) {
	t.Helper()
	f := openFile(t, d, name+".tmp")
	_, err := f.WriteAt([]byte(content), 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, d.Rename(name+".tmp", name+".json"))
}

// TestDirectoryLargerThanAMessage: the names of a disk do not fit into one message of the servers.
func TestDirectoryLargerThanAMessage(t *testing.T) {
	for _, maxPayload := range []int32{64 << 10, 1 << 20, 8 << 20} {
		t.Run(fmt.Sprint(maxPayload), func(t *testing.T) {
			js := connectWith(t, maxPayload)
			d := openAs(t, js)
			const files = 3000
			name := func(i int) string { return fmt.Sprintf("/spool/deadletters/%s-%d", strings.Repeat("x", 400), i) } // 1.2 MB in all
			for i := range files {
				writeLetter(t, d, name(i), fmt.Sprint("letter ", i))
			}
			for i := range 10 {
				require.NoError(t, d.Remove(name(i)+".json"))
			}
			for range 2 {
				d = openAs(t, js)
				entries, err := d.ReadDir("/spool/deadletters")
				require.NoError(t, err)
				require.Len(t, entries, files-10)
				assert.EqualValues(t, len("letter 10"), entries[0].Size)
				for _, i := range []int{10, 11, files - 1} {
					assert.Equal(t, fmt.Sprint("letter ", i), string(content(t, d, name(i)+".json")))
				}
			}
			stream, err := js.Stream(t.Context(), "R")
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				info, err := stream.Info(t.Context())
				require.NoError(t, err)
				return info.State.Msgs < 3*files
			}, 10*time.Second, 10*time.Millisecond, "what is over is removed")
		})
	}
}

// TestMessagesFitTheServers: a Sync writes as many messages as the servers' max_payload requires, however small its pieces are.
func TestMessagesFitTheServers(t *testing.T) {
	js := connectWith(t, 8<<10)
	d := openAs(t, js)
	f := openFile(t, d, "/s/1")
	large := []byte(strings.Repeat("0123456789", 10_000))
	_, err := f.WriteAt(large, 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	for i := range 10_000 { // pieces of one byte
		_, err := f.WriteAt([]byte{'x'}, int64(200_000+2*i))
		require.NoError(t, err)
	}
	require.NoError(t, f.Sync())
	got := content(t, openAs(t, js), "/s/1")
	require.Len(t, got, 219_999)
	assert.Equal(t, string(large), string(got[:len(large)]))
	assert.Equal(t, "x\x00x", string(got[219_996:]))
}

// TestSealedFiles: a sealed file can be written to, renamed and replaced by every owner; each sees what the former one synced.
func TestSealedFiles(t *testing.T) {
	js := connectWith(t, 1<<20)
	d := openAs(t, js)
	writeLetter(t, d, "/s/a", "first")
	former := openFile(t, d, "/s/a.json")
	_, err := former.WriteAt([]byte("F"), 0) // after the seal
	require.NoError(t, err)
	require.NoError(t, former.Sync())
	assert.Equal(t, "First", string(content(t, openAs(t, js), "/s/a.json")))

	d = openAs(t, js)
	writeLetter(t, d, "/s/b", "second")
	former = openFile(t, d, "/s/b.json")
	next := openAs(t, js) // does not read /s/b.json
	_, err = former.WriteAt([]byte("lost"), 0)
	require.NoError(t, err)
	require.ErrorIs(t, former.Sync(), jetdisk.ErrFenced, "a former owner cannot write to a sealed file")
	f := openFile(t, next, "/s/b.json")
	_, err = f.WriteAt([]byte("!"), 6)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, next.Rename("/s/b.json", "/s/a.json"))
	require.NoError(t, openFile(t, next, "/s/a.json").Truncate(7))
	last := openAs(t, js)
	assert.Equal(t, "second!", string(content(t, last, "/s/a.json")))
	_, err = last.OpenFile("/s/b.json", os.O_RDONLY, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestOwnerWithoutSeals: an owner of a version that did not know sealed files, and wrote to one, does not hide what it wrote.
func TestOwnerWithoutSeals(t *testing.T) {
	js := connectWith(t, 1<<20)
	d := openAs(t, js)
	writeLetter(t, d, "/s/a", "first")
	stream, err := js.Stream(t.Context(), "R")
	require.NoError(t, err)
	created := stream.CachedInfo().State.FirstSeq + 1 // behind the epoch
	subject := fmt.Sprintf("r.0.f.%d", created)
	_, err = js.Publish(t.Context(), "r.0.names", []byte(`{"op":"epoch"}`))
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), subject, nil)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), subject, []byte("\x05\x05\x01\x00\x01F"))
	require.NoError(t, err)
	assert.Equal(t, "First", string(content(t, openAs(t, js), "/s/a.json")))
}

// TestForeignMessages: messages of a disk's subjects that are none of a disk are reported, and have no effect.
func TestForeignMessages(t *testing.T) {
	js := connectWith(t, 8<<20)
	d := openAs(t, js)
	f := openFile(t, d, "/s/1")
	_, err := f.WriteAt([]byte("kept"), 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	d.Close()
	stream, err := js.Stream(t.Context(), "R")
	require.NoError(t, err)
	file := fmt.Sprintf("r.0.f.%d", stream.CachedInfo().State.FirstSeq+1)
	foreign := map[string][]byte{"r.0.names": []byte("hello"), "r.0.f.x": []byte("hello"), file: []byte("\x05\x05\x01\x00\x05F")}
	for subject, data := range foreign {
		_, err = js.Publish(t.Context(), subject, data)
		require.NoError(t, err)
	}
	for _, data := range [][]byte{nil, {1}, {1, 2, 200}, []byte(`{"op":"burn"}`), make([]byte, 3<<20)} {
		_, err = js.Publish(t.Context(), "r.0.names", data)
		require.NoError(t, err)
	}
	aside := map[string]int{}
	next, err := jetdisk.Open(t.Context(), jetdisk.Options{
		JetStream: js, Stream: "R", Prefix: "r.0", SetAside: func(subject string, _ uint64, why error) {
			require.Error(t, why)
			aside[subject]++
		},
	})
	require.NoError(t, err)
	t.Cleanup(next.Close)
	assert.Equal(t, "kept", string(content(t, next, "/s/1")))
	assert.Equal(t, map[string]int{"r.0.names": 6, file: 1}, aside)
	f = openFile(t, next, "/s/1")
	_, err = f.WriteAt([]byte("!"), 4)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	assert.Equal(t, "kept!", string(content(t, openAs(t, js), "/s/1")))
}

// TestNewerFormat: a disk of a newer version is not opened.
func TestNewerFormat(t *testing.T) {
	js := connectWith(t, 1<<20)
	openAs(t, js).Close()
	_, err := js.Publish(t.Context(), "r.0.names", []byte(`{"op":"epoch","format":3}`))
	require.NoError(t, err)
	_, err = jetdisk.Open(t.Context(), jetdisk.Options{JetStream: js, Stream: "R", Prefix: "r.0"})
	require.ErrorContains(t, err, "newer version")
	require.False(t, errors.Is(err, context.Canceled))
}
