package authorize

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// FuzzQuick: what quick reads is the same as what the full parser reads.
func FuzzQuick(f *testing.F) {
	for _, seed := range []string{
		"service_token=stoken1001&service_id=1001&app_id=app1&app_key=key1&usage%5Bhits%5D=1",
		"service_token=stoken1001&service_id=1001&user_key=u&usage[hits]=1&usage[a]=007&log[code]=200",
		"provider_key=pkey&app_id=a&referrer=x.com&log%5Bcode%5D=20", "service_token=t&service_id=s&app_id=a&usage[hits]=0&usage[hits]=1",
		"service_token=stoken1001&service_id=1001&usage[hits]x=1", "usage[[a]]=1&service_token=stoken1001&service_id=1001", "provider_key=p&service_token=t&service_id=1",
		"service_token=stoken1001&service_id=1001&usage[]=1", "service_token=stoken1001&service_id=1001&&app_id=a",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	a, _ := worldOptions{Options: Options{Services: configured, Passthrough: true}}.new()
	f.Fuzz(func(t *testing.T, query string, authrep bool) {
		quick := call{authrep: authrep}
		credentials, id, ok := quick.readFastPath(query)
		if !ok || len(query) > maxQuery {
			return
		}
		full := call{authrep: authrep}
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: query}, Header: http.Header{}}
		err := a.readAll(&full, r)
		var quickErr error
		quick.door, quickErr = a.configured.Load().open(id, credentials, true)
		require.Equal(t, err, quickErr)
		if err == nil {
			require.Equal(t, full, quick)
		}
	})
}

// TestQuickReadsWhatClientsWrite: the usual queries take the short way.
func TestQuickReadsWhatClientsWrite(t *testing.T) {
	for _, query := range []string{
		"app_id=APP&app_key=KEY&service_id=S&service_token=T&usage%5Bhits%5D=1",
		"user_key=U&usage%5Bhits%5D=1&provider_key=PK",
		"service_id=S&service_token=T&app_id=A&app_key=K&usage[hits]=1",
	} {
		_, _, ok := new(call).readFastPath(query)
		assert.True(t, ok, query)
	}
}

// TestDocumentIsTheCodecs: the short way to write an answer writes what the codec writes.
func TestDocumentIsTheCodecs(t *testing.T) {
	w := newWorld(t, nil)
	for _, pairs := range [][]string{
		{"app_id", "app1", "app_key", "key1"}, {"app_id", "app1", "app_key", `<&">`}, {"app_id", "appnolim"}, {"app_id", "appsusp"},
		{"app_id", "applim", "usage[hits]", "11"}, {"app_id", "applim", "usage[search]", "2"},
	} {
		q := url.Values{"service_token": {"stoken1001"}, "service_id": {"1001"}}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		r := new(reply)
		require.NoError(t, w.read(&r.call, httptest.NewRequest(http.MethodGet, "/?"+q.Encode(), nil)))
		w.answer(t.Context(), r)
		short := string(r.appendDocument(nil))
		assert.Equal(t, string(r.document().AppendXML(nil, true)), short)
		_, err := threescale.ParseStatus([]byte(short))
		require.NoError(t, err)
	}
}
