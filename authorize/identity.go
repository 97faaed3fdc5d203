package authorize

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"

	"github.com/reporterd/reporterd/threescale"
)

// identity names a service or an application in memory without its keys: two hashes with seeds that
// are new in every process. It decides where usage is counted, never who is let through.
type identity struct{ high, low uint64 }

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func identify(kind byte, a, b string) identity {
	var id [2]uint64
	for i, seed := range seeds {
		x := maphash.String(seed, a)
		y := maphash.String(seed, b)
		id[i] = mix(x^uint64(kind), y)
	}
	return identity{id[0], id[1]}
}

// mix joins two hashes so that their order matters.
func mix(x, y uint64) uint64 {
	x ^= y*0x9e3779b97f4a7c15 + x<<6 + x>>2
	x ^= x >> 31
	x *= 0xbf58476d1ce4e5b9
	return x ^ x>>27
}

// identifyService names a service by its id; without one, by the provider key whose default it is.
func identifyService(id string, c threescale.Credentials) identity {
	if id == "" {
		return identify('d', c.ProviderKey, "")
	}
	return identify('s', id, "")
}

// identifyApplication names an application of a service, by its id or by its user key.
func identifyApplication(service identity, app threescale.Application) identity {
	kind, name := byte('a'), app.ID
	if name == "" {
		kind, name = 'u', app.UserKey
	}
	id := identify(kind, name, "")
	return identity{mix(service.high, id.high), mix(service.low, id.low)}
}

// digest is what an answer is remembered under: a keyed SHA-256 of everything the backend looks at to
// give it.
type digest [sha256.Size]byte

// optional is a parameter that may be absent, which is not the same as empty.
type optional struct {
	present bool
	text    string
}

func (o optional) pointer() *string {
	if !o.present {
		return nil
	}
	return &o.text
}

// digest returns the key of a call. Each part has its length before it, so that no two calls share one;
// an absent part has a length that none can have. What a call asks for (usage, options) is no part of
// it, except the list of keys, which is an answer of its own.
func (a *Authorizer) digest(c *call) digest {
	var room [512]byte
	b := append(room[:0], a.secret[:]...)
	kind := byte(0)
	if c.oauth {
		kind |= 1
	}
	if c.options.ListAppKeys {
		kind |= 2
	}
	b = append(b, kind)
	for _, part := range [...]string{
		c.door.serviceID, c.door.credentials.ServiceToken, c.door.credentials.ProviderKey,
		c.application.ID, c.application.UserKey, c.referrer,
	} {
		b = appendPart(b, optional{true, part})
	}
	b = appendPart(b, c.appKey)
	b = appendPart(b, c.redirectURL)
	b = appendPart(b, c.redirectURI)
	return sha256.Sum256(b)
}

func appendPart(b []byte, o optional) []byte {
	if !o.present {
		return binary.BigEndian.AppendUint32(b, 1<<32-1)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(o.text)))
	return append(b, o.text...)
}
