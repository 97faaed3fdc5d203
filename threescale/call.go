package threescale

import (
	"strings"
)

// ReadCredentials takes the credentials and the service from the parameters of a call, by the backend's
// rules of presence; whether they are right is not looked at. post tells a report from the GET calls,
// which are read differently:
//
//   - a provider key wins over a token, and then serviceID may be empty: the provider's default service;
//   - an empty provider key beside a token is absent on a GET call, but hides the token of a report
//     (recordings auth-empty-provider-key-with-token, report-empty-provider-key-with-token);
//   - on a GET call white space alone, a hash or an array counts as absent.
//
// The error is an *Error.
func ReadCredentials(params Value, post bool) (c Credentials, serviceID string, err error) {
	token := credential(params.Get("service_token"), post)
	key := credential(params.Get("provider_key"), post)
	serviceID = credential(params.Get("service_id"), post)
	switch {
	case key != "":
		return Credentials{ProviderKey: key}, serviceID, nil
	case token == "":
		return Credentials{}, serviceID, CredentialsRequired()
	case serviceID == "":
		return Credentials{}, "", ServiceIDMissing()
	case post && params.Get("provider_key").Kind() == String:
		return Credentials{}, serviceID, ServiceTokenInvalid(token, serviceID)
	}
	return Credentials{ServiceToken: token}, serviceID, nil
}

// credential is the text of a parameter that names or opens something, "" when it counts as absent.
func credential(v Value, post bool) string {
	if !post && strings.TrimLeft(v.Text(), rubySpace) == "" {
		return ""
	}
	return v.Text()
}

// rubySpace is what Ruby's strip takes off both ends.
const rubySpace = " \t\n\v\f\r\x00"

// RawTransaction is one transaction of a report as it was sent, every part absent that was not.
type RawTransaction struct {
	Index     string // what stood in transactions[…]; means nothing to the backend
	AppID     Value
	UserKey   Value
	UserID    Value
	Usage     Value
	Timestamp Value
	Code      Value // log[code]
}

// ReadTransactions returns the transactions of a report in the order of the body, checked as the
// listener checks them before it answers 202; the worker's checks are Decode. UTF-8 and credentials
// come before this in the backend's order, the service after it. The error is an *Error.
func ReadTransactions(params Value) ([]RawTransaction, error) {
	v := params.Get("transactions")
	if k := v.Kind(); k == Absent || k == Nil || k == String && v.Text() == "" {
		return nil, TransactionsBlank()
	}
	if v.Kind() != Hash {
		return nil, TransactionsFormatInvalid()
	}
	for i := range v.Len() {
		if _, t := v.Entry(i); t.Kind() == Nil {
			return nil, TransactionsHasNil()
		}
	}
	list := make([]RawTransaction, v.Len())
	for i := range list {
		index, t := v.Entry(i)
		raw, err := readTransaction(index, t)
		if err != nil {
			return nil, err
		}
		list[i] = raw
	}
	for i := range list {
		if k := list[i].Usage.Kind(); k == String {
			return nil, InternalError()
		}
	}
	return list, nil
}

func readTransaction(index string, v Value) (RawTransaction, error) {
	if v.Kind() != Hash {
		return RawTransaction{}, InternalError()
	}
	t := RawTransaction{
		Index:     index,
		AppID:     v.Get("app_id"),
		UserKey:   v.Get("user_key"),
		UserID:    v.Get("user_id"),
		Usage:     v.Get("usage"),
		Timestamp: v.Get("timestamp"),
		Code:      v.Get("log").Get("code"),
	}
	if t.UserID.Kind() != Absent {
		return t, EndUsersNoLongerSupported()
	}
	return t, nil
}

// Dropped reports whether the listener drops the transaction without a look at its application: it has
// usage, and every value of it is exactly "0" (recording report-zero). One without any usage is kept,
// and its application checked (recording report-no-usage-unknown-app-with-good).
func (t RawTransaction) Dropped() bool {
	if t.Usage.Kind() != Hash {
		return false
	}
	for i := range t.Usage.Len() {
		if _, v := t.Usage.Entry(i); v.Kind() != String || v.Text() != "0" {
			return false
		}
	}
	return true
}
