package cluster

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// wireVersion is the first byte of an encoded list of events, wireSources that of one with messages of streams. A replica that does
// not know a version refuses the list, and the events are sent again.
const (
	wireVersion = 1
	wireSources = 2
)

const (
	wireFlat   = 1 << iota // Event.FlatUsage
	wireSource             // Event.Source follows
	wireSame               // Event.Source is that of the previous event
)

var errWire = errors.New("cluster: cannot decode events from another replica: do all replicas have the same version?")

// AppendEvents appends the encoding of events for another replica, credentials and ids included.
func AppendEvents(dst []byte, events []event.Event) []byte {
	version := byte(wireVersion)
	if slices.ContainsFunc(events, func(e event.Event) bool { return e.Source != nil }) {
		version = wireSources
	}
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(len(events)))
	for i := range events {
		e := &events[i]
		flags := byte(0)
		if e.FlatUsage {
			flags |= wireFlat
		}
		if e.Source != nil {
			if flags |= wireSource; i > 0 && e.Source == events[i-1].Source {
				flags ^= wireSource | wireSame
			}
		}
		dst = append(dst, flags)
		if flags&wireSource != 0 {
			dst = appendSource(dst, e.Source)
		}
		for _, s := range [...]string{
			e.ServiceID, e.Credentials.ServiceToken, e.Credentials.ProviderKey, e.ID, e.Application.ID, e.Application.UserKey,
		} {
			dst = appendText(dst, s)
		}
		dst = binary.AppendVarint(dst, e.Timestamp)
		dst = binary.AppendUvarint(dst, uint64(e.Code))
		dst = binary.AppendUvarint(dst, uint64(len(e.Usage)))
		for _, u := range e.Usage {
			dst = binary.AppendUvarint(appendText(dst, u.Metric), u.Value)
		}
	}
	return dst
}

func appendSource(dst []byte, s *event.Source) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, s.Stream)
	dst = binary.AppendUvarint(dst, s.Sequence)
	dst = binary.AppendUvarint(dst, s.Floor)
	return binary.AppendUvarint(dst, uint64(s.Next))
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// wire decodes the result of AppendEvents. After the first error all fields are zero and bad is set.
type wire struct {
	data []byte
	bad  bool
}

// ReadEvents returns the events of an encoded list. Their strings are copies.
func ReadEvents(data []byte) ([]event.Event, error) {
	if len(data) == 0 || data[0] != wireVersion && data[0] != wireSources {
		return nil, errWire
	}
	w := &wire{data: data[1:]}
	count := w.number()
	if count > uint64(len(data)) {
		return nil, errWire
	}
	events := make([]event.Event, count)
	for i := range events {
		e := &events[i]
		flags := w.byte()
		e.FlatUsage = flags&wireFlat != 0
		switch {
		case flags&wireSource != 0:
			e.Source = w.source()
		case flags&wireSame != 0 && i > 0:
			e.Source = events[i-1].Source
		}
		e.ServiceID = w.text()
		e.Credentials = threescale.Credentials{ServiceToken: w.text(), ProviderKey: w.text()}
		e.ID = w.text()
		e.Application = threescale.Application{ID: w.text(), UserKey: w.text()}
		e.Timestamp = w.signed()
		e.Code = int(w.number())
		usage := w.number()
		if w.bad || usage > uint64(len(w.data)) {
			return nil, errWire
		}
		for range usage {
			e.Usage = append(e.Usage, threescale.Increment{Metric: w.text(), Value: w.number()})
		}
	}
	if w.bad || len(w.data) > 0 {
		return nil, errWire
	}
	return events, nil
}

func (w *wire) number() uint64 {
	v, n := binary.Uvarint(w.data)
	if n <= 0 {
		w.data, w.bad = nil, true
		return 0
	}
	w.data = w.data[n:]
	return v
}

func (w *wire) signed() int64 {
	v, n := binary.Varint(w.data)
	if n <= 0 {
		w.data, w.bad = nil, true
		return 0
	}
	w.data = w.data[n:]
	return v
}

func (w *wire) source() *event.Source {
	s := new(event.Source)
	if len(w.data) < 8 {
		w.data, w.bad = nil, true
		return s
	}
	s.Stream = binary.LittleEndian.Uint64(w.data)
	w.data = w.data[8:]
	s.Sequence, s.Floor, s.Next = w.number(), w.number(), uint32(w.number())
	return s
}

func (w *wire) byte() byte {
	if len(w.data) == 0 {
		w.bad = true
		return 0
	}
	b := w.data[0]
	w.data = w.data[1:]
	return b
}

func (w *wire) text() string {
	n := w.number()
	if n > uint64(len(w.data)) {
		w.data, w.bad = nil, true
		return ""
	}
	s := string(w.data[:n])
	w.data = w.data[n:]
	return s
}
