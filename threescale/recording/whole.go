package recording

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	head  = "service_token=stoken1001&service_id=1001"
	first = head + "&transactions[0][app_id]=app2&transactions[0][usage][hits]=1"
)

// shortened matches the remark at the end of a body that is not kept in full.
var shortened = regexp.MustCompile(`(?s)^(.*?)\n?\.\.\.\[(\d+) bytes[^]]*`)

// whole returns the body as it was sent. Those that are shortened in the file are made again, and must
// begin as the file does and have the announced length.
func (r *Recording) whole(body string) ([]byte, error) {
	m := shortened.FindStringSubmatch(body)
	if m == nil {
		length, _ := strconv.Atoi(r.Header.Get("Content-Length"))
		if length > len(body) {
			return nil, fmt.Errorf("request of %d bytes, %d announced", len(body), length)
		}
		return []byte(body[:length]), nil
	}
	if r.Name == "report-gzip" {
		return base64.StdEncoding.DecodeString(gzipped)
	}
	again := r.again(m[1])
	if !strings.HasPrefix(again, m[1]) {
		return nil, fmt.Errorf("the body made again begins otherwise")
	}
	if strconv.Itoa(len(again)) != m[2] {
		return nil, fmt.Errorf("the body made again has %d bytes, not %s", len(again), m[2])
	}
	return []byte(again), nil
}

// gzipped is the gzip form of first, as zlib writes it: 90 bytes, as recorded.
const gzipped = "H4sIAAAAAAAAAytOLSrLTE6NL8nPTs2zLQZThgYGhmrFUInMFFswv6QoMa84MbkkMz+vONogNjqxoAAo" +
	"F2sLpI0wJEuLE9NTY6MzMkuKY20NAWYo8rtkAAAA"

var bulk = regexp.MustCompile(`^report-(\d+)(?:-(\d)keys)?$`)

// again makes a long body by its name; shown is its beginning.
func (r *Recording) again(shown string) string {
	switch r.Name {
	case "report-body-over-4mib":
		return first + "&transactions[0][log][request]=" + strings.Repeat("x", 4<<20)
	case "report-4096-params":
		return head + "&transactions[0][app_id]=bulk41&transactions[0][usage][hits]=1" + strings.Repeat("&", 4092)
	}
	m := bulk.FindStringSubmatch(r.Name)
	if m == nil {
		return ""
	}
	n, _ := strconv.Atoi(m[1])
	keys, _ := strconv.Atoi(m[2])
	return bulkBody(n, keys, timestampIn(shown))
}

// timestampIn finds the moment a file's transactions carry; it differs from file to file.
func timestampIn(shown string) string {
	_, rest, _ := strings.Cut(shown, "[timestamp]=")
	moment, _, _ := strings.Cut(rest, "&")
	return moment
}

func bulkBody(n, keys int, timestamp string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := range n {
		at := fmt.Sprintf("&transactions[%d]", i)
		fmt.Fprintf(&b, "%s[app_id]=bulk%d%s[usage][hits]=1", at, i%50+1, at)
		if keys == 5 {
			b.WriteString(at + "[usage][transfer]=10")
		}
		if keys >= 3 {
			b.WriteString(at + "[timestamp]=" + timestamp)
		}
		if keys >= 4 {
			b.WriteString(at + "[log][code]=200")
		}
	}
	return b.String()
}
