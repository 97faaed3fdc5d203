package daemon

import (
	"io"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/internal/systemd"
)

// Sampling of identical lines.
const (
	floodLines = 50
	floodEvery = 100
)

// NewLogger returns a logger that writes a line for each entry to w: JSON for machines, or columns for people, with colours if w
// is a terminal. The level can be changed later.
//
// Floods are sampled: of lines with the same level and message, the first floodLines of a second are written, then one in
// floodEvery. Lines of partition.DeadLetterLogger are not sampled.
func NewLogger(w io.Writer, c config.Log) (*zap.Logger, zap.AtomicLevel) {
	level, err := zap.ParseAtomicLevel(c.Level)
	if err != nil {
		level = zap.NewAtomicLevel() // config only accepts zap's level names
	}
	out := zapcore.Lock(zapcore.AddSync(w))
	lines := encoder(w, c.Format)
	if f, ok := w.(*os.File); ok && systemd.IsJournal(f) {
		lines = prioritized{lines}
	}
	whole := zapcore.NewCore(lines, out, level)
	return zap.New(record{zapcore.NewSamplerWithOptions(whole, time.Second, floodLines, floodEvery), whole}), level
}

// record samples all lines except records.
type record struct {
	zapcore.Core
	whole zapcore.Core
}

// With implements zapcore.Core.
func (r record) With(fields []zap.Field) zapcore.Core {
	return record{r.Core.With(fields), r.whole.With(fields)}
}

// Check implements zapcore.Core.
func (r record) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.LoggerName == partition.DeadLetterLogger {
		return r.whole.Check(e, c)
	}
	return r.Core.Check(e, c)
}

func encoder(w io.Writer, format string) zapcore.Encoder {
	e := zap.NewProductionEncoderConfig()
	e.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	e.EncodeDuration = zapcore.StringDurationEncoder
	if format != "console" {
		return zapcore.NewJSONEncoder(e)
	}
	e.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	e.EncodeLevel = zapcore.CapitalLevelEncoder
	e.ConsoleSeparator = "  "
	if f, ok := w.(*os.File); ok && IsTerminal(f) && os.Getenv("NO_COLOR") == "" {
		e.EncodeLevel = zapcore.CapitalColorLevelEncoder
	}
	return zapcore.NewConsoleEncoder(e)
}

// IsTerminal reports whether f is a terminal. The null device is a character device, but not a terminal.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("TERM") == "" {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
