package threescale

import "strconv"

// AppendForm appends the canonical body of POST /transactions.xml: credentials, then transaction by
// transaction application, usage, timestamp (Unix seconds) and response code. Brackets stand raw;
// everything in names and values that is not a letter, a digit or one of -._~ is escaped, so that every
// byte comes out as it went in. No cap is checked: see HeadCost and FormCost. It allocates nothing
// when dst has room.
func (r *Report) AppendForm(dst []byte) []byte {
	start := len(dst)
	dst = appendCredentials(dst, start, r.Credentials)
	if r.ServiceID != "" {
		dst = appendParam(dst, start, "service_id", r.ServiceID)
	}
	for i := range r.Transactions {
		dst = r.Transactions[i].appendForm(dst, start, i)
	}
	return dst
}

func appendCredentials(dst []byte, start int, c Credentials) []byte {
	if c.ProviderKey != "" {
		return appendParam(dst, start, "provider_key", c.ProviderKey)
	}
	if c.ServiceToken != "" {
		return appendParam(dst, start, "service_token", c.ServiceToken)
	}
	return dst
}

func appendParam(dst []byte, start int, name, value string) []byte {
	if len(dst) > start {
		dst = append(dst, '&')
	}
	dst = append(dst, name...)
	dst = append(dst, '=')
	return appendEscaped(dst, value)
}

func (t *Transaction) appendForm(dst []byte, start, index int) []byte {
	field := func(name string) {
		if len(dst) > start {
			dst = append(dst, '&')
		}
		dst = append(dst, "transactions["...)
		dst = strconv.AppendInt(dst, int64(index), 10)
		dst = append(dst, name...)
	}
	if t.Application.UserKey != "" {
		field("][user_key]=")
		dst = appendEscaped(dst, t.Application.UserKey)
	} else {
		field("][app_id]=")
		dst = appendEscaped(dst, t.Application.ID)
	}
	for i := range t.Usage {
		field("][usage][")
		dst = appendEscaped(dst, t.Usage[i].Metric)
		dst = append(dst, "]="...)
		dst = strconv.AppendUint(dst, t.Usage[i].Value, 10)
	}
	if t.Timestamp != 0 {
		field("][timestamp]=")
		dst = strconv.AppendInt(dst, t.Timestamp, 10)
	}
	if t.Code != 0 {
		field("][log][code]=")
		dst = strconv.AppendInt(dst, int64(t.Code), 10)
	}
	return dst
}

// FormCost returns how many parameters and bytes AppendForm writes for t as transaction number index,
// the separators before them included. It allocates nothing.
func (t *Transaction) FormCost(index int) (params, bytes int) {
	prefix := len("&transactions[") + decimalLen(uint64(max(index, 0)))
	params = 1 + len(t.Usage)
	if t.Application.UserKey != "" {
		bytes = prefix + len("][user_key]=") + escapedLen(t.Application.UserKey)
	} else {
		bytes = prefix + len("][app_id]=") + escapedLen(t.Application.ID)
	}
	for i := range t.Usage {
		bytes += prefix + len("][usage][]=") + escapedLen(t.Usage[i].Metric) + decimalLen(t.Usage[i].Value)
	}
	if t.Timestamp != 0 {
		params++
		bytes += prefix + len("][timestamp]=") + signedLen(t.Timestamp)
	}
	if t.Code != 0 {
		params++
		bytes += prefix + len("][log][code]=") + signedLen(int64(t.Code))
	}
	return params, bytes
}

// HeadCost returns how many parameters and bytes AppendForm writes before the first transaction.
func HeadCost(serviceID string, c Credentials) (params, bytes int) {
	add := func(name, value string) {
		if params > 0 {
			bytes++
		}
		params++
		bytes += len(name) + len("=") + escapedLen(value)
	}
	if c.ProviderKey != "" {
		add("provider_key", c.ProviderKey)
	} else if c.ServiceToken != "" {
		add("service_token", c.ServiceToken)
	}
	if serviceID != "" {
		add("service_id", serviceID)
	}
	return params, bytes
}

func signedLen(n int64) int {
	if n < 0 {
		return 1 + decimalLen(-uint64(n))
	}
	return decimalLen(uint64(n))
}

func decimalLen(n uint64) int {
	length := 1
	for n >= 10 {
		n /= 10
		length++
	}
	return length
}
