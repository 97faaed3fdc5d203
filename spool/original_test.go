package spool

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A message that became no event is listed, shown without its payload, dropped, and survives a restart; it
// is not requeued, and no event's figure knows of it.
func TestBury(t *testing.T) {
	o := Options{Dir: t.TempDir(), MaxBytes: 256 << 20}
	s, _, err := Open(o)
	require.NoError(t, err)
	id, err := s.Bury("ORDERS-42", "1001", Original{Subject: "usage.1001", ID: "m1"}, []byte(`{"user_key":"secret"`), Reason{"invalid_message", "the JSON ends early"})
	require.NoError(t, err)
	again, err := s.Bury("ORDERS-42", "1001", Original{Subject: "usage.1001", ID: "m1"}, []byte(`{"user_key":"secret"`), Reason{"invalid_message", "the JSON ends early"})
	require.NoError(t, err)
	assert.Equal(t, id, again)
	require.NoError(t, s.Close())

	s, _, err = Open(o)
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	page, _, err := s.DeadLetters(DeadLetterQuery{Reason: "invalid_message"})
	require.NoError(t, err)
	require.Len(t, page, 1)
	assert.JSONEq(t, `{"subject":"usage.1001","id":"m1","payload":"{\"user_key\":\"secret\""}`, marshal(t, page[0].Original))
	assert.NotContains(t, marshal(t, page[0].Redacted()), "secret")
	assert.Equal(t, Counts{}, s.Counts())

	_, err = s.Requeue([]string{id}, page[0].CreatedAt)
	require.ErrorContains(t, err, "publish it again")
	dropped, err := s.Drop([]string{id})
	require.NoError(t, err)
	assert.Len(t, dropped, 1)
	assert.Zero(t, s.Usage().DeadLetters)
}

func TestBuryWhateverItIsCalled(t *testing.T) {
	s, _, err := Open(Options{Dir: t.TempDir(), MaxBytes: 256 << 20})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	id, err := s.Bury("../../"+strings.Repeat("é", 300), "", Original{}, []byte{0xff}, Reason{})
	require.NoError(t, err)
	d, err := s.DeadLetter(id)
	require.NoError(t, err)
	assert.True(t, d.Original.Base64)
	id, err = s.Bury("large", "", Original{}, make([]byte, maxOriginal+7), Reason{})
	require.NoError(t, err)
	d, err = s.DeadLetter(id)
	require.NoError(t, err)
	assert.Equal(t, 7, d.Original.Cut)
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}
