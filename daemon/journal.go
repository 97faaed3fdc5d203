package daemon

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"github.com/reporterd/reporterd/internal/systemd"
)

// priorities are the syslog priorities that sd-daemon(3) describes for the beginning of a line. The journal removes and stores
// them, so that `journalctl -p warning` works.
var priorities = map[zapcore.Level]string{zapcore.DebugLevel: "<7>", zapcore.InfoLevel: "<6>", zapcore.WarnLevel: "<4>", zapcore.ErrorLevel: "<3>"}

func priority(level zapcore.Level) string {
	if p := priorities[level]; p != "" {
		return p
	}
	return "<2>" // levels that end the process
}

// prioritized writes a priority at the beginning of each line.
type prioritized struct{ zapcore.Encoder }

var buffers = buffer.NewPool()

// Clone implements zapcore.Encoder.
func (p prioritized) Clone() zapcore.Encoder { return prioritized{p.Encoder.Clone()} }

// EncodeEntry implements zapcore.Encoder.
func (p prioritized) EncodeEntry(e zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	text, err := p.Encoder.EncodeEntry(e, fields)
	if err != nil {
		return nil, err
	}
	defer text.Free()
	out, prefix := buffers.Get(), priority(e.Level)
	for line := range bytes.Lines(text.Bytes()) {
		out.AppendString(prefix)
		_, _ = out.Write(line) // a buffer in memory
	}
	return out, nil
}

// Complain writes why the program ends, with the priority of an error if w is the journal.
func Complain(w io.Writer, err error) {
	text := err.Error()
	if f, ok := w.(*os.File); ok && systemd.IsJournal(f) {
		prefix := priority(zapcore.ErrorLevel)
		text = prefix + strings.ReplaceAll(text, "\n", "\n"+prefix)
	}
	fmt.Fprintln(w, text)
}
