package spool

import (
	"encoding/binary"

	"github.com/reporterd/reporterd/threescale"
)

// The bits of the first byte of an encoded event or transaction.
const (
	bitFlat    = 1 << iota // flat usage
	bitUserKey             // the application is a user key, not an id
	bitToken               // a service token follows
	bitKey                 // a provider key follows
	bitIDHash              // the 16 bytes of an id's hash follow
	bitCode                // a response code follows
	knownBits  = 1<<iota - 1
)

// flagsOf returns which fields of a transaction are written.
func flagsOf(t *threescale.Transaction) (flags byte) {
	if t.Application.UserKey != "" {
		flags |= bitUserKey
	}
	if t.Code != 0 {
		flags |= bitCode
	}
	return flags
}

// credentialBits returns which credentials are written.
func credentialBits(c threescale.Credentials) (flags byte) {
	if c.ServiceToken != "" {
		flags |= bitToken
	}
	if c.ProviderKey != "" {
		flags |= bitKey
	}
	return flags
}

func appendCredentials(dst []byte, c threescale.Credentials) []byte {
	if c.ServiceToken != "" {
		dst = appendString(dst, c.ServiceToken)
	}
	if c.ProviderKey != "" {
		dst = appendString(dst, c.ProviderKey)
	}
	return dst
}

func (d *decoder) credentials(flags byte) (c threescale.Credentials) {
	if flags&bitToken != 0 {
		c.ServiceToken = d.view()
	}
	if flags&bitKey != 0 {
		c.ProviderKey = d.view()
	}
	return c
}

// appendTransaction writes the application, the timestamp, the response code if there is one, and the usage.
func appendTransaction(dst []byte, t *threescale.Transaction) []byte {
	if t.Application.UserKey != "" {
		dst = appendString(dst, t.Application.UserKey)
	} else {
		dst = appendString(dst, t.Application.ID)
	}
	dst = binary.AppendVarint(dst, t.Timestamp)
	if t.Code != 0 {
		dst = binary.AppendUvarint(dst, uint64(t.Code))
	}
	dst = binary.AppendUvarint(dst, uint64(len(t.Usage)))
	for i := range t.Usage {
		dst = appendString(dst, t.Usage[i].Metric)
		dst = binary.AppendUvarint(dst, t.Usage[i].Value)
	}
	return dst
}

// transaction reads into t, whose usage is reused. Strings are views.
func (d *decoder) transaction(flags byte, t *threescale.Transaction) {
	t.Application, t.Code = threescale.Application{}, 0
	if flags&bitUserKey != 0 {
		t.Application.UserKey = d.view()
	} else {
		t.Application.ID = d.view()
	}
	t.Timestamp = d.varint()
	if flags&bitCode != 0 {
		t.Code = int(d.uvarint())
	}
	t.Usage = t.Usage[:0]
	for range d.number(2) {
		metric := d.view()
		t.Usage = append(t.Usage, threescale.Increment{Metric: metric, Value: d.uvarint()})
	}
}
