package console

import (
	"fmt"
	"math"
	"time"
)

// The levels of a Summary.
const (
	levelOK   = "ok"   // everything flows
	levelWait = "wait" // something is retried without help; nothing is lost
	levelHelp = "help" // an operator has to do something
)

// Summary is the state of the whole in one sentence, for the head of the page and of commands.
type Summary struct {
	Level    string `json:"level"` // ok, wait, help
	Sentence string `json:"sentence"`
	Advice   string `json:"advice,omitempty"` // what an operator can do
}

// summarize returns the most urgent thing there is to say: the daemon itself, then usage that needs an operator, then usage that is
// retried, then what has happened to usage. ready is the reason why events are not accepted; empty: they are.
func summarize(s *Snapshot, ready string) Summary {
	if ready != "" {
		return Summary{levelHelp, "Events are not accepted: " + ready + ".", "The log has the reason; what was acknowledged is on disk."}
	}
	held, retrying, parked, oldest := 0, 0, 0, s.Spool.OldestAge
	for i := range s.Lanes {
		l := &s.Lanes[i]
		parked += l.Parked
		oldest = max(oldest, l.OldestAge)
		switch l.State {
		case "held":
			held++
		case "retrying":
			retrying++
		}
	}
	pending := plural(int(min(s.Events.Pending, math.MaxInt)), "event is", "events are") + " pending on disk"
	since := pending + ", the oldest for " + roughly(oldest)
	also := ""
	if s.Reports.BreakerOpen {
		also = " 3scale does not answer."
	}
	switch {
	case held > 0:
		return Summary{levelHelp, plural(held, "lane is", "lanes are") + " held: " + since + "." + also, "3scale refuses the credentials or the service; the lane's last error says why. Correct it, then reporterd reload."}
	case parked > 0:
		return Summary{levelHelp, plural(parked, "report is", "reports are") + " parked: 3scale may or may not have counted them." + also, "Decide with reporterd parked; reporterd reconcile shows what was counted."}
	case s.Reports.BreakerOpen:
		return Summary{levelWait, "3scale does not answer: " + since + ", and are retried.", "Nothing is lost. 3scale refuses usage older than 24 hours."}
	case retrying > 0:
		return Summary{levelWait, plural(retrying, "lane is", "lanes are") + " retrying: " + since + ".", "Nothing is lost; the lane's last error says what 3scale answered."}
	case s.Reports.Clock.Waiting > 0:
		return Summary{levelWait, plural(s.Reports.Clock.Waiting, "batch waits", "batches wait") + ": 3scale's clock differs from ours.", "Check the clock of this machine."}
	}
	return summarizeFlowing(s, pending)
}

// summarizeFlowing is summarize where nothing waits for an operator or for 3scale.
func summarizeFlowing(s *Snapshot, pending string) Summary {
	switch {
	case s.Spool.DeadLetters > 0:
		return Summary{levelWait, "Flowing, and 3scale refused some usage: " + plural(s.Spool.DeadLetters, "dead letter", "dead letters") + ".", "reporterd deadletter ls lists them with their reasons."}
	case s.Events.Lost > 0:
		return Summary{levelWait, "Flowing, and damage to the disk destroyed " + plural(int(min(s.Events.Lost, math.MaxInt)), "event", "events") + " in the past.", "docs/operating.md, ReporterdEventsLost, says what to look at."}
	case s.Events.Pending > 0:
		return Summary{levelOK, "Flowing: " + pending + ".", ""}
	}
	return Summary{levelOK, "Flowing: everything accepted has its outcome.", ""}
}

// notReady is the text of Options.Ready's error; empty: ready.
func notReady(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// roughly is a duration for people.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
