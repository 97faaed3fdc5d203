package threescale

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale/recording"
)

func recordings(t testing.TB) []*recording.Recording {
	t.Helper()
	list, err := recording.Load("testdata/recordings")
	require.NoError(t, err)
	return list
}

func recorded(t testing.TB, name string) *recording.Recording {
	t.Helper()
	r := recording.ByName(recordings(t), name)
	require.NotNil(t, r, name)
	return r
}

// listen applies the listener's checks that need no data of the backend to a recorded request.
func listen(t testing.TB, r *recording.Recording, o ReadOptions) ([]RawTransaction, error) {
	t.Helper()
	req, err := r.NewRequest()
	require.NoError(t, err, r.Name)
	params, err := ReadParams(req, o)
	if err != nil {
		return nil, err
	}
	post := r.Method == http.MethodPost
	if !post && !params.ValidUTF8() {
		return nil, NotValidData()
	}
	if _, _, err := ReadCredentials(params, post); err != nil {
		return nil, err
	}
	if !post {
		if k := params.Get("usage").Kind(); k != Absent && k != Hash {
			return nil, UsageNotHash()
		}
		return nil, nil
	}
	if !params.ValidUTF8() {
		return nil, NotValidData()
	}
	return ReadTransactions(params)
}

// needsData are the codes that only a backend with its data can find.
func needsData(code string) bool {
	switch code {
	case CodeServiceTokenInvalid, CodeProviderKeyInvalid, CodeServiceIDInvalid, CodeMetricInvalid,
		CodeApplicationNotFound, CodeUserKeyInvalid, CodeAuthenticationError, CodeUsageValueInvalid,
		CodeEndUsersNoLongerSupported:
		return true
	}
	return false
}

// isCall reports whether a recording is one of 3scale's own calls, answered by a backend in health.
func isCall(r *recording.Recording) bool {
	u, err := url.Parse(r.Target)
	return err == nil && !strings.HasPrefix(r.Name, "redis-down") && r.Header.Get("Origin") == "" &&
		(r.Method == http.MethodGet && strings.HasPrefix(strings.TrimLeft(u.Path, "/"), "transactions/") ||
			r.Method == http.MethodPost && u.Path == "/transactions.xml")
}

func TestEveryRecordedCallIsReadAsTheBackendReadIt(t *testing.T) {
	calls := 0
	for _, r := range recordings(t) {
		if !isCall(r) {
			continue
		}
		calls++
		_, err := listen(t, r, ReadOptions{})
		want, hasError := ParseError(r.AnswerBody)
		switch {
		case err != nil:
			var got *Error
			require.ErrorAs(t, err, &got, r.Name)
			assert.Equal(t, r.Status, got.Status, r.Name)
			if r.Header.Get("3scale-options") != "no_body=1" {
				assert.Equal(t, string(r.AnswerBody), string(got.AppendXML(nil)), r.Name)
			}
		case hasError:
			assert.True(t, needsData(want.Code), "%s: %s was not found", r.Name, want.Code)
		default:
			assert.Less(t, r.Status, 500, r.Name)
		}
	}
	t.Logf("%d calls read", calls)
	assert.Greater(t, calls, 140)
}

// TestEveryDiscardedBatchIsFoundBeforehand: all that the worker threw away after its 202, Decode
// refuses with the same code and text, unless only the backend can know.
func TestEveryDiscardedBatchIsFoundBeforehand(t *testing.T) {
	found := 0
	for _, r := range recordings(t) {
		if !isCall(r) || r.Method != http.MethodPost || r.Status != 202 {
			continue
		}
		transactions, err := listen(t, r, ReadOptions{})
		require.NoError(t, err, r.Name)
		var refused *Error
		for _, raw := range transactions {
			if _, err := raw.Decode(r.Recorded); errors.As(err, &refused) {
				break
			}
		}
		_, stored, _ := strings.Cut(r.AfterWorker, "integration errors now: 1\n  ")
		stored, _, _ = strings.Cut(stored, " @ ")
		switch {
		case refused == nil:
			known := !strings.Contains(stored, "was not found") && !strings.HasPrefix(stored, CodeMetricInvalid)
			assert.False(t, known && stored != "", "%s: let %s through", r.Name, stored)
		case r.Name == "report-error-precedence": // a matter of the whole batch, not of one transaction
		case stored != "":
			found++
			assert.Equal(t, stored, refused.Code+": "+refused.Text, r.Name)
		default:
			assert.Contains(t, beyondTheBackend, r.Name)
		}
	}
	t.Logf("%d discarded batches found", found)
	assert.GreaterOrEqual(t, found, 8)
}

// beyondTheBackend are the recordings of what the backend takes and stumbles over, or what cannot be
// aggregated.
var beyondTheBackend = map[string]bool{
	"report-huge-int": true, "report-overflow-among-good": true, "report-appid-nested": true,
	"report-set-5": true, "report-set-5-child": true, "report-set-service-level": true,
	"report-order-set-then-inc": true, "report-order-inc-then-set": true,
}

func TestLenientReadingRepairsWhatClientsMean(t *testing.T) {
	for _, name := range []string{
		"report-crlf-separator", "report-token-inside-transaction", "report-empty-provider-key-with-token",
		"report-inner-name-unbracketed",
	} {
		r := recorded(t, name)
		transactions, err := listen(t, r, ReadOptions{Lenient: true})
		require.NoError(t, err, name)
		require.Len(t, transactions, 1, name)
		got, err := transactions[0].Decode(r.Recorded)
		require.NoError(t, err, name)
		assert.NotEmpty(t, got.Application.ID, name)
		assert.Equal(t, Usage{{"hits", 1}}, got.Usage, name)
	}
	req, err := recorded(t, "authrep-leading-bracket-usage").NewRequest()
	require.NoError(t, err)
	params, err := ReadParams(req, ReadOptions{Lenient: true})
	require.NoError(t, err)
	assert.Equal(t, Hash, params.Get("usage").Kind())
}

func TestLenientReadingChangesNothingElse(t *testing.T) {
	for _, r := range recordings(t) {
		if !isCall(r) || r.Status != 202 || r.Name == "report-inner-name-unbracketed" {
			continue
		}
		strict, err := listen(t, r, ReadOptions{})
		require.NoError(t, err, r.Name)
		lenient, err := listen(t, r, ReadOptions{Lenient: true})
		require.NoError(t, err, r.Name)
		require.Equal(t, len(strict), len(lenient), r.Name)
		for i := range strict {
			a, errA := strict[i].Decode(r.Recorded)
			b, errB := lenient[i].Decode(r.Recorded)
			require.Equal(t, errA, errB, r.Name)
			require.Equal(t, a, b, r.Name)
		}
	}
}
