package quota

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/threescale"
)

// named is the name of an application of service 1001.
func named(app string) Name {
	return Name{Service: ServiceName{ID: "1001"}, Application: threescale.Application{ID: app}}
}

// TestSweep: applications of which the backend's counters lack usage are remembered while there is room, those used last the
// longest; what is forgotten for want of room is counted. What is pending is never forgotten.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 800
		w := New(Options{Applications: most})
		w.Follow()
		lane := Lane{ServiceID: "1001"}
		use := func(app string, c change) {
			tx := threescale.Transaction{Application: threescale.Application{ID: app}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: time.Now().Unix()}
			w.book(lane, &tx, c, time.Now().Unix())
		}
		use("pending", accept)
		for i := range most - 1 {
			use(fmt.Sprint("app", i), accept)
			use(fmt.Sprint("app", i), count)
			<-time.After(10 * time.Second)
		}
		for range 3 {
			<-time.After(2 * time.Minute)
			w.Sweep(time.Now())
		}
		assert.InDelta(t, most/roomUnseen, w.Applications(), most/roomUnseen, "about as many as there is room for")
		assert.EqualValues(t, most-w.Applications(), w.Forgotten())
		assert.NotNil(t, w.Find(named("pending")))
		assert.NotNil(t, w.Find(named(fmt.Sprint("app", most-2))), "used last")
		assert.Nil(t, w.Find(named("app0")))
		<-time.After(2 * lateness)
		w.Sweep(time.Now())
		forgotten := w.Forgotten()
		w.Sweep(time.Now().Add(time.Hour))
		assert.Equal(t, forgotten, w.Forgotten(), "what the backend cannot count any more is not lacking")
	})
}
