package threescale

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var someday = time.Date(2026, 11, 21, 19, 37, 5, 500, time.UTC)

func TestCredentials(t *testing.T) {
	for _, c := range []struct {
		in        string
		get, post error
	}{
		{"", CredentialsRequired(), CredentialsRequired()},
		{"service_id=1", CredentialsRequired(), CredentialsRequired()},
		{"service_token=T&service_id=1", nil, nil},
		{"service_token=T", ServiceIDMissing(), ServiceIDMissing()},
		{"service_token=T&service_id=", ServiceIDMissing(), ServiceIDMissing()},
		{"service_token=&service_id=1", CredentialsRequired(), CredentialsRequired()},
		{"service_token[]=T&service_id=1", CredentialsRequired(), CredentialsRequired()},
		{"provider_key=&service_token=T&service_id=1", nil, ServiceTokenInvalid("T", "1")},
		{"provider_key&service_token=T&service_id=1", nil, nil},
		{"provider_key=&service_id=1", CredentialsRequired(), CredentialsRequired()},
		{"service_token=T&service_id=++", ServiceIDMissing(), nil},
		{"provider_key=K", nil, nil},
	} {
		v, err := parse(t, c.in, false)
		require.NoError(t, err)
		_, _, err = ReadCredentials(v, false)
		assert.Equal(t, c.get, err, "GET %s", c.in)
		_, _, err = ReadCredentials(v, true)
		assert.Equal(t, c.post, err, "POST %s", c.in)
	}
	v, err := parse(t, "provider_key=K&service_token=T&service_id=1", false)
	require.NoError(t, err)
	got, serviceID, err := ReadCredentials(v, true)
	require.NoError(t, err)
	assert.True(t, got == Credentials{ProviderKey: "K"}, "the provider key wins")
	assert.Equal(t, "1", serviceID)
}

func TestTokenInsideTransactionsCountsOnlyIfAllAgree(t *testing.T) {
	for in, want := range map[string]string{
		"t[0][service_token]=T&t[1][service_token]=T":                 "T",
		"t[0][service_token]=T&t[1][service_token]=U":                 "",
		"t[0][service_token]=T&t[1][app_id]=a":                        "",
		"t[0][service_token]=T&service_token=V":                       "V",
		"t[0][service_token]=T&provider_key=":                         "T",
		"t[][service_token]=T":                                        "",
		"t[0][service_token]=&t[1][service_token]=":                   "",
		"t[0][service_token]=T&t[1][service_token]=T&t[2][usage][]=1": "",
	} {
		v, err := parse(t, strings.ReplaceAll(in, "t[", "transactions["), true)
		require.NoError(t, err)
		canonicalize(v.n)
		assert.Equal(t, want, v.Get("service_token").Text(), in)
	}
}

func TestListenersChecks(t *testing.T) {
	for _, c := range []struct {
		in   string
		want error
	}{
		{"", TransactionsBlank()},
		{"transactions", TransactionsBlank()},
		{"transactions=", TransactionsBlank()},
		{"transactions=x", TransactionsFormatInvalid()},
		{"transactions[]=x", TransactionsFormatInvalid()},
		{"transactions[0]", TransactionsHasNil()},
		{"transactions[0]=x&transactions[1]", TransactionsHasNil()},
		{"transactions[0]=x", InternalError()},
		{"transactions[0][]=x", InternalError()},
		{"transactions[0][usage]=5", InternalError()},
		{"transactions[0][usage]=5&transactions[1][user_id]=", EndUsersNoLongerSupported()},
		{"transactions[0][user_id]=", EndUsersNoLongerSupported()},
		{"transactions[0][app_id]=a&user_id=u", nil},
	} {
		v, err := parse(t, c.in, false)
		require.NoError(t, err)
		_, err = ReadTransactions(v)
		if c.want == nil {
			assert.NoError(t, err, c.in)
			continue
		}
		assert.Equal(t, c.want, err, c.in)
	}
}

func TestTransactionsKeepTheOrderOfTheBody(t *testing.T) {
	v, err := parse(t, "transactions[10][app_id]=a&transactions[2][app_id]=b&transactions[x][app_id]=c&transactions[10][usage][h]=1", false)
	require.NoError(t, err)
	list, err := ReadTransactions(v)
	require.NoError(t, err)
	var order []string
	for _, raw := range list {
		order = append(order, raw.Index+raw.AppID.Text())
	}
	assert.Equal(t, []string{"10a", "2b", "xc"}, order)
}

// decode reads one transaction written as t[…].
func decode(t *testing.T, in string) (Transaction, error) {
	t.Helper()
	v, err := parse(t, strings.ReplaceAll(in, "t[", "transactions[0]["), false)
	require.NoError(t, err)
	list, err := ReadTransactions(v)
	require.NoError(t, err)
	return list[0].Decode(someday)
}

func TestDecode(t *testing.T) {
	now := someday.Unix()
	app := Application{ID: "a"}
	for in, want := range map[string]Transaction{
		"t[app_id]=a&t[usage][hits]=3":                                  {app, Usage{{"hits", 3}}, now, 0},
		"t[user_key]=k&t[usage][hits]=+007+":                            {Application{UserKey: "k"}, Usage{{"hits", 7}}, now, 0},
		"t[app_id]=a&t[user_key]&t[usage][h]=1":                         {app, Usage{{"h", 1}}, now, 0},
		"t[app_id]=a&t[usage][+hits+]=3":                                {app, Usage{{"hits", 3}}, now, 0},
		"t[app_id]=a&t[usage][hits]=3&t[usage][+hits]=4":                {app, Usage{{"hits", 4}}, now, 0},
		"t[app_id]=a&t[usage][+hits]=3&t[usage][b]=1&t[usage][hits]=4":  {app, Usage{{"hits", 4}, {"b", 1}}, now, 0},
		"t[app_id]=a&t[usage][hits]=3&t[usage][+hits]=0":                {app, Usage{{"hits", 3}}, now, 0},
		"t[app_id]=a&t[usage][hits]=3&t[usage][+hits]=00":               {app, Usage{}, now, 0},
		"t[app_id]=a&t[usage][hits]=0&t[usage][b]=2":                    {app, Usage{{"b", 2}}, now, 0},
		"t[app_id]=a&t[usage][hits]=9007199254740991":                   {app, Usage{{"hits", MaxValue}}, now, 0},
		"t[app_id]=a&t[usage][h]=1&t[timestamp]=1795289757":             {app, Usage{{"h", 1}}, 1795289757, 0},
		"t[app_id]=a&t[usage][h]=1&t[timestamp]=":                       {app, Usage{{"h", 1}}, now, 0},
		"t[app_id]=a&t[usage][h]=1&t[timestamp][]=5":                    {app, Usage{{"h", 1}}, now, 0},
		"t[app_id]=a&t[usage][h]=1&t[timestamp]=garbage":                {app, Usage{{"h", 1}}, now, 0},
		"t[app_id]=a&t[usage][h]=1&t[log][code]=404":                    {app, Usage{{"h", 1}}, now, 404},
		"t[app_id]=a&t[usage][h]=1&t[log][code]=OK&t[log][request]=x":   {app, Usage{{"h", 1}}, now, 0},
		"t[app_id]=a&t[usage][h]=1&t[log][code]=20+":                    {app, Usage{{"h", 1}}, now, 0},
		"t[app_id]=a&t[usage][h]=1&t[log][code]=099":                    {app, Usage{{"h", 1}}, now, 0},
		"t[app_id]=a&t[usage][h]=1&t[log]=200":                          {app, Usage{{"h", 1}}, now, 0},
		"t[app_id]=a":                                                   {app, nil, now, 0},
		"t[app_id]=a&t[usage][h]=0&t[usage][i]=0":                       {app, nil, now, 0},
		"t[app_id]=a&t[timestamp]=1":                                    {app, nil, now, 0},
		"t[user_key]=k&t[app_id]=a&t[usage][h]=0&t[log][code]=200":      {Application{}, nil, now, 0},
		"t[app_id]=a&t[usage][h]=1&t[timestamp]=2026-11-20+19:37:05":    {app, Usage{{"h", 1}}, now - 86400, 0},
		"t[app_id]=a&t[usage][h]=1&t[timestamp]=2026-11-21+20:37:05":    {app, Usage{{"h", 1}}, now + 3600, 0},
		"t[app_id]=+a+&t[usage][h]=1&t[timestamp]=2026-11-21T19:37:06Z": {Application{ID: " a "}, Usage{{"h", 1}}, now + 1, 0},
	} {
		got, err := decode(t, in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got, in)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for in, want := range map[string]*Error{
		"t[usage][h]=1":                                              ApplicationIDMissing(),
		"t[app_id]&t[usage][h]=1":                                    ApplicationIDMissing(),
		"t[app_id][x]=a&t[usage][h]=1":                               ApplicationIDMissing(),
		"t[user_key][]=a&t[usage][h]=1":                              ApplicationIDMissing(),
		"t[app_id]=&t[usage][h]=1":                                   ApplicationNotFound(""),
		"t[user_key]=&t[usage][h]=1":                                 UserKeyInvalid(""),
		"t[app_id]=a&t[user_key]=&t[usage][h]=1":                     AuthenticationError(),
		"t[app_id]=a&t[user_key]=k&t[usage][h]=x":                    AuthenticationError(),
		"t[app_id]=a&t[usage][h]=-1":                                 UsageValueInvalid("h", "-1"),
		"t[app_id]=a&t[usage][h]=%2B1":                               UsageValueInvalid("h", "+1"),
		"t[app_id]=a&t[usage][h]=1.5":                                UsageValueInvalid("h", "1.5"),
		"t[app_id]=a&t[usage][h]=1e3":                                UsageValueInvalid("h", "1e3"),
		"t[app_id]=a&t[usage][h]=":                                   UsageValueEmpty("h"),
		"t[app_id]=a&t[usage][h]=++":                                 UsageValueEmpty("h"),
		"t[app_id]=a&t[usage][h]":                                    UsageValueEmpty("h"),
		"t[app_id]=a&t[usage][h][x]=1":                               UsageValueEmpty("h"),
		"t[app_id]=a&t[usage][]=5":                                   UsageValueEmpty("5"),
		"t[app_id]=a&t[usage][h]=%235":                               UsageValueInvalid("h", "#5"),
		"t[app_id]=a&t[usage][h]=9007199254740992":                   UsageValueInvalid("h", "9007199254740992"),
		"t[app_id]=a&t[usage][h]=99999999999999999999":               UsageValueInvalid("h", "99999999999999999999"),
		"t[app_id]=a&t[usage][+]=1":                                  MetricInvalid(""),
		"t[app_id]=a&t[usage][a[b]=1":                                MetricInvalid("a[b"),
		"t[app_id]=a&t[usage][a[b]=x":                                UsageValueInvalid("a[b", "x"),
		"t[app_id]=a&t[usage][h]=1&t[timestamp]=2026-11-20+19:37:04": TimestampTooOld(),
		"t[app_id]=a&t[usage][h]=1&t[timestamp]=2026-11-21+20:37:06": TimestampTooNew(),
		"t[app_id]=a&t[usage][h]=1&t[timestamp]=1795289757000":       TimestampTooNew(),
	} {
		_, err := decode(t, in)
		assert.Equal(t, want, err, in)
	}
}

func TestUsageValues(t *testing.T) {
	for in, want := range map[string]struct {
		value uint64
		set   bool
	}{
		"0": {0, false}, "7": {7, false}, " 7\t\n": {7, false}, "007": {7, false}, "#5": {5, true}, " #5 ": {5, true},
		"18446744073709551615": {18446744073709551615, false}, "99999999999999999999999": {18446744073709551615, false},
	} {
		value, set, ok := ParseUsageValue(in)
		assert.True(t, ok, in)
		assert.Equal(t, want.value, value, in)
		assert.Equal(t, want.set, set, in)
	}
	for _, in := range []string{"", " ", "#", "# 5", "##5", "-1", "+5", "1.5", "1e3", "1 2", "0x5", "٣", "5\x00"} {
		_, _, ok := ParseUsageValue(in)
		assert.False(t, ok, "%q", in)
	}
}
