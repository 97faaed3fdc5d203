package threescale

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const form = "application/x-www-form-urlencoded"

func post(query, contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/transactions.xml", strings.NewReader(body))
	r.URL.RawQuery = query
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func get(query string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/transactions/authorize.xml", nil)
	r.URL.RawQuery = query
	return r
}

// refusal of ReadParams, or nil.
func refusalOf(t *testing.T, r *http.Request, o ReadOptions) *Error {
	t.Helper()
	_, err := ReadParams(r, o)
	if err == nil {
		return nil
	}
	var e *Error
	require.ErrorAs(t, err, &e)
	return e
}

func TestBodyReplacesQueryByName(t *testing.T) {
	v, err := ReadParams(post("a=1&t[0]=q&t[1]=q", form, "t[0]=b&c=3"), ReadOptions{})
	require.NoError(t, err)
	assert.Equal(t, `{a:"1" t:{0:"b"} c:"3"}`, show(v))
}

func TestContentTypes(t *testing.T) {
	for contentType, ok := range map[string]bool{
		"": true, form: true, "APPLICATION/X-WWW-FORM-URLENCODED": true, form + "; charset=utf-8": true,
		"text/plain": false, "application/json": false, "Application/JSON; charset=utf-8": false,
	} {
		e := refusalOf(t, post("", contentType, "a=1"), ReadOptions{})
		if ok {
			assert.Nil(t, e, contentType)
			continue
		}
		require.NotNil(t, e, contentType)
		assert.Equal(t, 400, e.Status)
		assert.Equal(t, CodeContentTypeInvalid, e.Code)
		assert.Equal(t, strings.ToLower(e.Text[len("invalid "):]), strings.ToLower("Content-Type: ")+mediaType(strings.ToLower(contentType)))
	}
	r := get("a=1")
	r.Header.Set("Content-Type", "application/json")
	assert.Nil(t, refusalOf(t, r, ReadOptions{}), "only a report has to be a form")
}

func TestMalformedInputByMethod(t *testing.T) {
	for _, c := range []struct {
		in        string
		get, post *Error
	}{
		{"a=%zz", PercentInvalid(), InternalErrorEmpty()},
		{"u[]=1&u[h]=1", SyntaxErrors(), InternalError()},
		{"u=1&u[h]=1", TextAndTree(), TextAndTree()},
		{"a" + strings.Repeat("[a]", 32) + "=1", NestedTooDeep(), NestedTooDeep()},
	} {
		assert.Equal(t, c.get, refusalOf(t, get(c.in), ReadOptions{}), c.in)
		assert.Equal(t, c.post, refusalOf(t, post("", form, c.in), ReadOptions{}), c.in)
		assert.Equal(t, c.post, refusalOf(t, post(c.in, "", ""), ReadOptions{}), c.in)
	}
}

func TestCapsAreExact(t *testing.T) {
	amps := strings.Repeat("&", 4095)
	assert.Nil(t, refusalOf(t, post("", form, amps), ReadOptions{}))
	assert.Equal(t, TooManyParams(4097, 4096), refusalOf(t, post("", form, amps+"&"), ReadOptions{}))
	assert.Equal(t, TooManyParams(4097, 4096), refusalOf(t, get(amps+"&"), ReadOptions{}))
	assert.Nil(t, refusalOf(t, post(amps, form, amps), ReadOptions{}), "each string on its own")

	full := "a=" + strings.Repeat("x", MaxBody-2)
	assert.Nil(t, refusalOf(t, post("", form, full), ReadOptions{}))
	assert.Equal(t, TooManyBytes(MaxBody), refusalOf(t, post("", form, full+"x"), ReadOptions{}))
	chunked := post("", form, full+"x")
	chunked.ContentLength = -1
	assert.Equal(t, TooManyBytes(MaxBody), refusalOf(t, chunked, ReadOptions{}))

	query := "a=" + strings.Repeat("x", MaxQuery-2)
	assert.Nil(t, refusalOf(t, get(query), ReadOptions{}))
	assert.Equal(t, QueryTooLong(), refusalOf(t, get(query+"x"), ReadOptions{}))
}

func TestCapsCanBeMoved(t *testing.T) {
	o := ReadOptions{MaxParams: -1, MaxBytes: -1, MaxQuery: -1}
	assert.Nil(t, refusalOf(t, post(strings.Repeat("&", 20000), form, strings.Repeat("&", MaxBody+1)), o))
	o = ReadOptions{MaxParams: 2, MaxBytes: 10, MaxQuery: 5}
	assert.Equal(t, TooManyParams(3, 2), refusalOf(t, post("", form, "a&b&c"), o))
	assert.Equal(t, TooManyBytes(10), refusalOf(t, post("", form, "12345678901"), o))
	assert.Equal(t, QueryTooLong(), refusalOf(t, get("123456"), o))
}

// brokenBody fails in the middle, as a connection does.
type brokenBody struct{ err error }

func (b brokenBody) Read(p []byte) (int, error) { return copy(p, "a=1"), b.err }

func TestBodyThatCannotBeReadIsNoRefusal(t *testing.T) {
	for _, contentType := range []string{form, "multipart/form-data; boundary=b"} {
		cause := &http.MaxBytesError{Limit: 5}
		r := post("", contentType, "")
		r.Body, r.ContentLength = io.NopCloser(brokenBody{cause}), -1
		_, err := ReadParams(r, ReadOptions{})
		var e *Error
		assert.False(t, errors.As(err, &e))
		var tooLarge *http.MaxBytesError
		assert.ErrorAs(t, err, &tooLarge)
	}
}

func TestWithoutABody(t *testing.T) {
	r := post("a=1", "", "")
	r.Body = nil
	v, err := ReadParams(r, ReadOptions{})
	require.NoError(t, err)
	assert.Equal(t, `{a:"1"}`, show(v))
	r = post("", "multipart/form-data; boundary=b", "")
	r.Body = nil
	assert.Nil(t, refusalOf(t, r, ReadOptions{}))
}

func TestChunkedReportWithExpectContinue(t *testing.T) {
	var got Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		got, err = ReadParams(r, ReadOptions{})
		assert.NoError(t, err)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/transactions.xml?a=1",
		io.MultiReader(strings.NewReader("transactions[0][app_id]=a&trans"), strings.NewReader("actions[0][usage][hits]=1")))
	require.NoError(t, err)
	req.Header.Set("Expect", "100-continue")
	res, err := server.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, `{a:"1" transactions:{0:{app_id:"a" usage:{hits:"1"}}}}`, show(got))
}

func multipartForm(t *testing.T, fields ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		require.NoError(t, w.WriteField(fields[i], fields[i+1]))
	}
	require.NoError(t, w.Close())
	return w.FormDataContentType(), b.String()
}

func TestMultipart(t *testing.T) {
	contentType, body := multipartForm(t, "service_id", "1001", "transactions[0][app_id]", "a&b=%zz", "transactions[0][usage][hits]", "3")
	v, err := ReadParams(post("q=1", contentType, body), ReadOptions{})
	require.NoError(t, err)
	assert.Equal(t, `{q:"1" service_id:"1001" transactions:{0:{app_id:"a&b=%zz" usage:{hits:"3"}}}}`, show(v))

	assert.Equal(t, 400, refusalOf(t, post("", contentType, body[:40]), ReadOptions{}).Status, "cut short")
	assert.Equal(t, 400, refusalOf(t, post("", "multipart/form-data", body), ReadOptions{}).Status, "no boundary")
	assert.Equal(t, TooManyParams(3, 2), refusalOf(t, post("", contentType, body), ReadOptions{MaxParams: 2}))
	assert.Equal(t, TooManyBytes(100), refusalOf(t, post("", contentType, body), ReadOptions{MaxBytes: 100}))
	contentType, body = multipartForm(t, "u[]", "1", "u[h]", "1")
	assert.Equal(t, InternalError(), refusalOf(t, post("", contentType, body), ReadOptions{}))
}

func TestFileInAFormIsNoText(t *testing.T) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("transactions", "f.txt")
	require.NoError(t, err)
	fmt.Fprint(part, "x")
	require.NoError(t, w.Close())
	v, err := ReadParams(post("", w.FormDataContentType(), b.String()), ReadOptions{})
	require.NoError(t, err)
	assert.Equal(t, `{transactions:{filename:"f.txt"}}`, show(v))
}

func BenchmarkReadParams(b *testing.B) {
	body := string(recorded(b, "report-1000").Body)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		v, err := ReadParams(post("", form, body), ReadOptions{})
		if err != nil || v.Get("transactions").Len() != 1000 {
			b.Fatal(err)
		}
	}
}
