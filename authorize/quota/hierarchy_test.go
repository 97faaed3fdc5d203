package quota

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestManyUnknownMetrics: names that were denied make room for names that exist, and the number of names is bounded.
func TestManyUnknownMetrics(t *testing.T) {
	s := newService()
	for i := range MaxMetrics {
		s.Metric(fmt.Sprint("nosuch", i)).MarkDenied(time.Now())
	}
	hits := s.Metric("hits")
	hits.MarkSeen(time.Now())
	assert.Same(t, hits, s.Metric("hits"))
	for i := range 2 * MaxMetrics {
		s.Metric(fmt.Sprint("more", i)).MarkDenied(time.Now())
	}
	assert.Same(t, hits, s.Find("hits"))
	assert.LessOrEqual(t, len(s.metrics), MaxMetrics)
}

// TestUnprovenMetricsLeaveRoom: names that reports use and no answer proved share one metric beyond a number of them.
func TestUnprovenMetricsLeaveRoom(t *testing.T) {
	s := newService()
	for i := range maxUnproven {
		s.Follow(fmt.Sprint("unproven", i))
	}
	assert.Same(t, s.rest, s.Follow("one more"))
	assert.NotSame(t, s.rest, s.Metric("proven by an answer"))
}

// TestJoin: a metric is put between the one below it and that one's parent, if it is known to lie below the parent.
func TestJoin(t *testing.T) {
	now := time.Now()
	s := newService()
	hits, middle, leaf := s.Metric("hits"), s.Metric("middle"), s.Metric("leaf")
	Edge{leaf, hits}.SetParent()
	assert.False(t, s.Join(Edge{leaf, middle}, now), "whether middle lies below hits is not known")
	assert.Equal(t, 1, leaf.distance(hits))
	Edge{middle, hits}.SetParent()
	assert.True(t, s.Join(Edge{leaf, middle}, now))
	assert.Equal(t, 2, leaf.distance(hits))
	assert.False(t, s.Possible(Edge{hits, leaf}, now), "it lies above")

	beside := s.Metric("beside")
	assert.True(t, s.Open(Edge{beside, hits}, now))
	s.InferOpen(Edge{beside, hits}, now)
	assert.False(t, s.Open(Edge{beside, hits}, now))
	assert.True(t, s.Open(Edge{beside, hits}, now.Add(openLife)))
	s.InferApart(Edge{beside, hits}, now)
	assert.False(t, s.Possible(Edge{beside, hits}, now))
	assert.True(t, s.Possible(Edge{beside, hits}, now.Add(apartLife)))
}
