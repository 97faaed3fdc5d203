package nats

import (
	"errors"
	"fmt"
	"strings"
)

// DefaultInboxPrefixes is what clients of NATS begin their reply subjects with, unless they are configured otherwise.
var DefaultInboxPrefixes = []string{"_INBOX"}

// answerable reports whether an answer may be published to a reply subject: one below an inbox prefix, and without
// wildcards. The sender of a request names it, and the answer is published with the rights of the daemon, which
// reach further than its own: $JS.API.STREAM.PURGE.x as a reply would empty a stream, reporterd.disk.0.x would
// put a message among a replica's files, and usage.1001 would come back as a request without end.
func (b *Bridge) answerable(reply string) bool {
	for token := range strings.SplitSeq(reply, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") {
			return false
		}
	}
	for _, prefix := range b.options.InboxPrefixes {
		if strings.HasPrefix(reply, prefix+".") {
			return true
		}
	}
	return false
}

var errReply = errors.New("expected a reply subject below nats.inbox_prefixes")

// maxShownSubject bounds how much of a subject that a client has chosen stands in a log line, in bytes.
const maxShownSubject = 64

// refuseReply counts a request that cannot be answered. It is not taken: its sender has no answer, and repeats it.
func (b *Bridge) refuseReply(m *message) {
	b.counters.unanswerable.Add(1)
	b.logLimited("a request is neither taken nor answered", fmt.Errorf("nats: reply subject %.*q: %w", maxShownSubject, m.reply, errReply))
}
