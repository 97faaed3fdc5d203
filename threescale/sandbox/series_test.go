package sandbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/threescale"
)

func TestMinutesExpireAfterTheirLastChange(t *testing.T) {
	var s series
	key := keyOf(threescale.Minute, noon)
	s.apply(key, amount{value: 1}, noon)
	s.apply(key, amount{value: 1}, noon.Add(100*time.Second))
	for _, c := range []struct {
		after time.Duration
		value uint64
	}{{279 * time.Second, 2}, {280 * time.Second, 0}} {
		assert.Equal(t, c.value, s.at(threescale.Minute, noon, noon.Add(c.after)), c.after)
	}
	s.apply(key, amount{value: 5}, noon.Add(time.Hour))
	assert.EqualValues(t, 5, s.at(threescale.Minute, noon, noon.Add(time.Hour)), "an expired counter starts anew")
}

func TestSeriesKeepsTheLatest(t *testing.T) {
	var s series
	hours := kept(threescale.Hour) + 10
	for i := range hours {
		at := noon.Add(time.Duration(i) * time.Hour)
		s.apply(keyOf(threescale.Eternity, at), amount{value: 1}, at)
		s.apply(keyOf(threescale.Hour, at), amount{value: 1}, at)
		s.apply(keyOf(threescale.Minute, at), amount{value: 1}, at)
	}
	last := noon.Add(time.Duration(hours-1) * time.Hour)
	assert.Len(t, s.buckets, 1+kept(threescale.Hour)+1)
	assert.EqualValues(t, hours, s.at(threescale.Eternity, last, last))
	assert.Zero(t, s.at(threescale.Hour, noon.Add(9*time.Hour), last))
	assert.EqualValues(t, 1, s.at(threescale.Hour, noon.Add(10*time.Hour), last))
	assert.EqualValues(t, 1, s.at(threescale.Minute, last, last))
}

func TestReferrerFilters(t *testing.T) {
	for _, c := range []struct {
		filter, referrer string
		matches          bool
	}{
		{"*.example.com", "www.example.com", true},
		{"*.example.com", ".example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "www.example.com.evil", false},
		{"www.*.com", "www.example.com", true},
		{"www.*.com", "www.com", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*a", "a", false},
		{"www.example.com", "wwwXexample.com", false},
		{"www.example.com", "WWW.example.com", false},
		{"*", "anything", true},
	} {
		assert.Equal(t, c.matches, matches(c.filter, c.referrer), "%s against %s", c.referrer, c.filter)
	}
}
