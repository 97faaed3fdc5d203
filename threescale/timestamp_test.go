package threescale

import (
	"bufio"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// timestampVectors reads the recording timestamp-parsing: text, tab, instant or "unparsed".
func timestampVectors(t testing.TB) map[string]string {
	t.Helper()
	f, err := os.Open("testdata/recordings/timestamp-parsing.txt")
	require.NoError(t, err)
	defer f.Close()
	vectors := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, want, ok := strings.Cut(lines.Text(), "\t"); ok && !strings.HasPrefix(text, "#") {
			vectors[text[1:len(text)-1]] = want
		}
	}
	return vectors
}

func TestTimestampsAreReadAsTheBackendReadsThem(t *testing.T) {
	vectors := timestampVectors(t)
	require.Len(t, vectors, 41)
	for text, want := range vectors {
		at, ok := ParseTimestamp(text)
		got := "unparsed"
		if ok {
			got = time.Unix(at, 0).UTC().Format("2006-01-02 15:04:05")
		}
		assert.Equal(t, want, got, "%q", text)
	}
}

func TestMoreTimestamps(t *testing.T) {
	at := func(text string) int64 {
		v, err := time.Parse(time.DateTime, text)
		require.NoError(t, err)
		return v.Unix()
	}
	noon := at("2026-11-21 12:00:00")
	for text, want := range map[string]int64{
		"2026-11-21 12:00:00 +0000":                          noon,
		"1970-01-01 00:00:00 UTC":                            0,
		"2026-11-21 13:00:00 +01:00":                         noon,
		"2026-11-21 06:30:00 -05:30":                         noon,
		"2026-11-21 12:00:00.123456 UTC":                     noon,
		"2026-11-21 12:00:00.999":                            noon,
		"2026-11-21 13:00:00 CET":                            noon,
		"2026-11-21 12:00 GMT":                               noon,
		"2026-11-21 12h":                                     noon,
		"2026-11-21 12":                                      noon,
		"2026-11-21 12:00 pm":                                noon,
		"2026-11-21 12:00 AM":                                noon - 12*3600,
		"21-Nov-2026 12:00:00":                               noon,
		"November 21st, 2026 12:00":                          noon,
		"21.11.2026 12:00":                                   noon,
		"20261121T120000":                                    noon,
		"20261121T120000+0100":                               noon - 3600,
		"Saturday, 21-Nov-26 12:00:00 UTC":                   noon,
		"Sat, 21 Nov 2026 12:00:00 +0000":                    noon,
		"2026-11-21 12:00:00 EST":                            noon + 5*3600,
		"2026-11-21 07:00:00 EST DST":                        noon - 3600,
		"2026-11-21 12:00:00 Nowhere Dst Land":               noon,
		"2026-11-21 23:59:60":                                at("2026-11-22 00:00:00"),
		"21 Nov 26 12:00":                                    noon,
		"1 Jan 70":                                           0,
		"Nov-21-2026 12:00":                                  noon,
		"R8.11.21 12:00":                                     noon,
		"S45.01.01":                                          0,
		"261121T1200":                                        noon,
		"20261121120000.5":                                   noon,
		"2026-11-21 12:00:00 +0.5":                           noon - 1800,
		"2026-11-21 12:00:00 Central European Standard Time": noon,
		"2026-11-21 12:00:00 EST Daylight Time":              noon + 4*3600,
		"1 Jan 1 BC":                                         time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix(),
		"-0001-01-01":                                        time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC).Unix(),
		"0":                                                  0,
		"-5":                                                 -5,
		"1_795_289_757":                                      1795289757,
		"0b101":                                              5,
		"0o17":                                               15,
		"0d19":                                               19,
		"99999999999999999999999":                            math.MaxInt64,
		"-99999999999999999999999":                           math.MinInt64,
		"999999999999-01-01":                                 time.Date(1<<30, 1, 1, 0, 0, 0, 0, time.UTC).Unix(),
	} {
		got, ok := ParseTimestamp(text)
		assert.True(t, ok, "%q", text)
		assert.Equal(t, want, got, "%q", text)
	}
	for _, text := range []string{
		"1__0", "_1", "1_", "0x", "0b2", "08", "- 5", "--5", "2026-11-32", "2026-00-10", "2026-11-21 12:60",
		"2026-11-21 24:00:01", "Nov 2026", "2026-W47-6", "hits", "{}", strings.Repeat("1 ", 100), "12:00:00 +0100",
		"\x00", "''''", "1/2", "2026-11-21 99999999999999999999:00", "-", "+",
	} {
		_, ok := ParseTimestamp(text)
		assert.False(t, ok, "%q", text)
	}
}

func TestPlainDatesAgreeWithTheLongWay(t *testing.T) {
	for text := range timestampVectors(t) {
		agree(t, text)
	}
	for _, zone := range []string{"", "Z", " UTC", " +0000", "+0000", "-0330", "+05:30", " -11:00", "+2359", "+9999", "-00:60"} {
		for _, day := range []string{"2026-11-21T19:37:05", "2026-02-30 24:00:00", "0000-01-01 00:00:00", "0099-12-31 00:00:60", "9999-12-31T23:59:59"} {
			agree(t, day+zone)
		}
	}
}

// agree checks that the short way, where it takes a text, says what the long way says.
func agree(t *testing.T, text string) {
	t.Helper()
	short, ok := parsePlainDate(text)
	if !ok {
		return
	}
	long, ok := parseDate(text)
	require.True(t, ok, "%q", text)
	require.Equal(t, long, short, "%q", text)
}

func FuzzTimestamp(f *testing.F) {
	for text := range timestampVectors(f) {
		f.Add(text)
	}
	f.Add("2026-11-21 19:37:05 +0530")
	f.Add("9999999999999999999999999999")
	f.Fuzz(func(t *testing.T, text string) {
		agree(t, text)
		at, ok := ParseTimestamp(text)
		if !ok && at != 0 {
			t.Fatalf("%q: %d without ok", text, at)
		}
	})
}

func BenchmarkParseTimestamp(b *testing.B) {
	for _, text := range []string{"1795289757", "2026-11-21 19:39:09 +0000", "Sat, 21 Nov 2026 19:00:00 GMT"} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := ParseTimestamp(text); !ok {
					b.Fatal(text)
				}
			}
		})
	}
}
