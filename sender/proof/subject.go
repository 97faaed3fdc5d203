package proof

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/reporterd/reporterd/threescale"
)

// Scope is the service that something exists in, and what opens it.
type Scope struct {
	ServiceID   string // empty beside a provider key: the provider's default service
	Credentials threescale.Credentials
}

// key names an application or a metric of a service: a salted hash, since user keys are secrets.
type key [16]byte

const (
	byID      = 'a'
	byUserKey = 'u'
	byMetric  = 'm'
)

// key hashes a name. Credentials do not matter where the service is named: what exists in a service
// exists for every caller.
func (p *Proofs) key(s Scope, kind byte, name string) (k key) {
	var room [256]byte
	b := append(append(room[:0], p.salt[:]...), kind)
	b = append(binary.AppendUvarint(b, uint64(len(s.ServiceID))), s.ServiceID...)
	if s.ServiceID == "" {
		b = append(binary.AppendUvarint(b, uint64(len(s.Credentials.ProviderKey))), s.Credentials.ProviderKey...)
	}
	sum := sha256.Sum256(append(b, name...))
	copy(k[:], sum[:])
	return k
}

func (p *Proofs) application(s Scope, a threescale.Application) key {
	if a.UserKey != "" {
		return p.key(s, byUserKey, a.UserKey)
	}
	return p.key(s, byID, a.ID)
}

func (p *Proofs) metric(s Scope, name string) key { return p.key(s, byMetric, name) }
