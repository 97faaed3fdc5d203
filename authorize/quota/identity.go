package quota

import (
	"hash/maphash"

	"github.com/reporterd/reporterd/threescale"
)

// ID names a service or an application in memory without its keys: two hashes whose seeds are new in every process. It decides
// where usage is counted, never which call is allowed.
type ID struct{ high, low uint64 }

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func identify(kind byte, a, b string) ID {
	var id [2]uint64
	for i, seed := range seeds {
		x := maphash.String(seed, a)
		y := maphash.String(seed, b)
		id[i] = mix(x^uint64(kind), y)
	}
	return ID{id[0], id[1]}
}

// mix joins two hashes so that their order matters.
func mix(x, y uint64) uint64 {
	x ^= y*0x9e3779b97f4a7c15 + x<<6 + x>>2
	x ^= x >> 31
	x *= 0xbf58476d1ce4e5b9
	return x ^ x>>27
}

// IdentifyService returns the ID of a service by its id; without one, by the provider key whose default service it is.
func IdentifyService(id string, c threescale.Credentials) ID {
	if id == "" {
		return identify('d', c.ProviderKey, "")
	}
	return identify('s', id, "")
}

// IdentifyApplication returns the ID of an application of a service, by its id or by its user key.
func IdentifyApplication(service ID, app threescale.Application) ID {
	kind, name := byte('a'), app.ID
	if name == "" {
		kind, name = 'u', app.UserKey
	}
	id := identify(kind, name, "")
	return ID{mix(service.high, id.high), mix(service.low, id.low)}
}
