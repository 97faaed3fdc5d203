package authorize

import (
	"crypto/sha256"
	"encoding/binary"
)

// digest is what an answer is remembered under: half of a keyed SHA-256 of everything the backend looks at to give it. Without the
// secret key no two calls with the same one can be found.
type digest [sha256.Size / 2]byte

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
	sum := sha256.Sum256(b)
	return digest(sum[:len(digest{})])
}

func appendPart(b []byte, o optional) []byte {
	if !o.present {
		return binary.BigEndian.AppendUint32(b, 1<<32-1)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(o.text)))
	return append(b, o.text...)
}
