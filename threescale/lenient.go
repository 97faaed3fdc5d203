package threescale

import "strings"

// What the daemon takes beyond the backend. Official clients write shapes that the current backend
// loses or refuses although they mean well; read leniently, their parameters come out as if they had
// been written in the canonical form:
//
//   - ruby's names with a leading bracket, [usage][hits] (recording authrep-leading-bracket-usage);
//   - rust's inner names without brackets, transactions[0]usage[hits] (report-inner-name-unbracketed);
//   - perl's CR and LF before a name (report-crlf-separator);
//   - dotnet's empty provider_key beside a token (report-empty-provider-key-with-token);
//   - node's service_token inside every transaction (report-token-inside-transaction).

// splitHeadLenient is splitHead without white space before the name, and with a leading bracket
// understood.
func splitHeadLenient(name string) (head, after string) {
	name = strings.TrimLeft(name, "\r\n ")
	if strings.HasPrefix(name, "[") {
		return splitInnerLenient(name)
	}
	return splitHead(name)
}

// splitInnerLenient is splitInner, but a name without brackets of its own ends at the next one.
func splitInnerLenient(name string) (head, after string) {
	if strings.HasPrefix(name, "[") {
		return splitInner(name)
	}
	if i := strings.IndexByte(name, '['); i > 0 {
		return name[:i], name[i:]
	}
	return name, ""
}

// canonicalize repairs the two shapes that concern whole parameters, not their names.
func canonicalize(root *node) {
	if key := root.get("provider_key"); key != nil && key.kind == String && key.text == "" {
		root.remove("provider_key")
	}
	if root.get("service_token") != nil || root.get("provider_key") != nil {
		return
	}
	if token, ok := commonToken(root.get("transactions")); ok {
		root.set("service_token", &node{kind: String, text: token})
	}
}

// commonToken returns the service token that every transaction carries, if all carry the same.
func commonToken(transactions *node) (token string, ok bool) {
	if transactions == nil || transactions.kind != Hash {
		return "", false
	}
	for i, e := range transactions.entries {
		t := Value{e.value}.Get("service_token")
		if t.Kind() != String || t.Text() == "" || i > 0 && t.Text() != token {
			return "", false
		}
		token = t.Text()
	}
	return token, token != ""
}
