package threescale

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOptions(t *testing.T) {
	for header, want := range map[string]Options{
		"":                                     {},
		"flat_usage=1":                         {FlatUsage: true},
		"flat_usage=true":                      {},
		"flat_usage=01&hierarchy=1":            {Hierarchy: true},
		"no_body=1":                            {NoBody: true},
		"no_body=":                             {NoBody: true},
		"no_body=yes":                          {NoBody: true},
		"no_body=0":                            {},
		"no_body=false":                        {},
		"no_body":                              {},
		"limit_headers=1&list_app_keys=1":      {LimitHeaders: true, ListAppKeys: true},
		"rejection_reason_header=1&unknown=1":  {RejectionReasonHeader: true},
		"limit_headers=1&limit_headers=0":      {},
		"limit_headers=%zz":                    {},
		"limit_headers[]=1&limit_headers[a]=1": {},
		"limit%5Fheaders=1":                    {LimitHeaders: true},
	} {
		assert.Equal(t, want, ParseOptions(header), header)
	}
}

func TestOptionsComeOutAsTheyWentIn(t *testing.T) {
	all := Options{NoBody: true, RejectionReasonHeader: true, LimitHeaders: true, FlatUsage: true, ListAppKeys: true, Hierarchy: true}
	assert.Equal(t, "no_body=1&rejection_reason_header=1&limit_headers=1&flat_usage=1&list_app_keys=1&hierarchy=1", all.String())
	assert.Equal(t, all, ParseOptions(all.String()))
	assert.Empty(t, Options{}.String())
}
