package threescale

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// show writes a value so that two can be compared by eye.
func show(v Value) string {
	switch v.Kind() {
	case String:
		return fmt.Sprintf("%q", v.Text())
	case Array, Hash:
		var parts []string
		for i := range v.Len() {
			name, value := v.Entry(i)
			if v.Kind() == Hash {
				parts = append(parts, name+":"+show(value))
			} else {
				parts = append(parts, show(value))
			}
		}
		if v.Kind() == Hash {
			return "{" + strings.Join(parts, " ") + "}"
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return v.Kind().String()
}

func parse(t testing.TB, s string, lenient bool) (Value, error) {
	t.Helper()
	p := newParamReader(lenient)
	err := p.readAll(s)
	return Value{p.root}, err
}

func TestParamsAreReadAsRack3ReadsThem(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", `{}`},
		{"&&&", `{}`},
		{"a=1", `{a:"1"}`},
		{"a", `{a:nil}`},
		{"a=", `{a:""}`},
		{"=1", `{}`},
		{"a=1=2", `{a:"1=2"}`},
		{"a=1&a=2&b=3", `{a:"2" b:"3"}`},
		{"a=1&b=2&a=3", `{a:"3" b:"2"}`},
		{"a=1&  b=2", `{a:"1" b:"2"}`},
		{" a=1&\r\nb=2", "{ a:\"1\" \r\nb:\"2\"}"},
		{"a=1;b=2", `{a:"1;b=2"}`},
		{"a+b=c%20d%2B", `{a b:"c d+"}`},
		{"u[h]=1&u[t]=2", `{u:{h:"1" t:"2"}}`},
		{"u%5Bh%5D=1", `{u:{h:"1"}}`},
		{"u[h]=1&u[h]=2", `{u:{h:"2"}}`},
		{"u[]=1&u[]=2", `{u:["1" "2"]}`},
		{"u[]", `{u:[nil]}`},
		{"[u][h]=1", `{[u]:{h:"1"}}`},
		{"[h]=1", `{[h]:"1"}`},
		{"[]=1", `{[]:"1"}`},
		{"t[0]app=1", `{t:{0:{app:"1"}}}`},
		{"t[0]u[h]=1", `{t:{0:{u[h]:"1"}}}`},
		{"t[0=1", `{t:{[0:"1"}}`},
		{"t[=1", `{t[:"1"}`},
		{"a]b=1", `{a]b:"1"}`},
		{"t[9][a]=1&t[2][a]=2&t[9][b]=3", `{t:{9:{a:"1" b:"3"} 2:{a:"2"}}}`},
		{"t[x y][a]=1", `{t:{x y:{a:"1"}}}`},
		{"t[][a]=1&t[][b]=2&t[][a]=3", `{t:[{a:"1" b:"2"} {a:"3"}]}`},
		{"t[][a][b]=1&t[][a][c]=2&t[][a][b]=3", `{t:[{a:{b:"1" c:"2"}} {a:{b:"3"}}]}`},
		{"u[h]=1&u=2", `{u:"2"}`},
		{"u&u[h]=1", `{u:{h:"1"}}`},
		{"u[a[b]=1", `{u:{a[b:"1"}}`},
		{"u[a]b]=1", `{u:{a:{b]:"1"}}}`},
	} {
		got, err := parse(t, c.in, false)
		require.NoError(t, err, c.in)
		assert.Equal(t, c.want, show(got), c.in)
	}
}

func TestParamsThatCannotBeRead(t *testing.T) {
	for in, want := range map[string]error{
		"a=%":                                 errPercent,
		"a=%1":                                errPercent,
		"a=%zz":                               errPercent,
		"%g0=1":                               errPercent,
		"u[]=1&u[h]=1":                        errArrayAndHash,
		"u[h]=1&u[]=1":                        errArrayAndHash,
		"u=1&u[h]=1":                          errTextAndTree,
		"u=1&u[]=1":                           errTextAndTree,
		"u[h]=1&u[h][a]=1":                    errTextAndTree,
		"a" + strings.Repeat("[a]", 32) + "=": errNesting,
	} {
		_, err := parse(t, in, false)
		assert.ErrorIs(t, err, want, in)
	}
	_, err := parse(t, "a"+strings.Repeat("[a]", 31)+"=1", false)
	assert.NoError(t, err, "32 levels, the name included")
}

func TestLenientParams(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"[usage][hits]=1&[log][code]=200", `{usage:{hits:"1"} log:{code:"200"}}`},
		{"t[0]app_id=1&t[0]usage[hits]=2", `{t:{0:{app_id:"1" usage:{hits:"2"}}}}`},
		{"a=1&\r\nb=2&\r\n\r\n c=3", `{a:"1" b:"2" c:"3"}`},
		{"t[0][usage][hits]=1", `{t:{0:{usage:{hits:"1"}}}}`},
		{"u[]=1", `{u:["1"]}`},
		{"[]=1", `{[]:"1"}`},
	} {
		got, err := parse(t, c.in, true)
		require.NoError(t, err, c.in)
		assert.Equal(t, c.want, show(got), c.in)
	}
}

func TestValuesOfLargeHashesKeepOrderAndPosition(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "&t[%d][a]=%d", 99-i, i)
	}
	v, err := parse(t, b.String()+"&t[99][a]=last", false)
	require.NoError(t, err)
	transactions := v.Get("t")
	require.Equal(t, 100, transactions.Len())
	name, first := transactions.Entry(0)
	assert.Equal(t, "99", name)
	assert.Equal(t, "last", first.Get("a").Text())
	assert.Equal(t, "99", transactions.Get("0").Get("a").Text())
	assert.Equal(t, Absent, transactions.Get("100").Kind())
}

func TestValidUTF8LooksAtNamesAndValuesAtAnyDepth(t *testing.T) {
	for in, want := range map[string]bool{
		"a=%C3%A9&%C3%A9=1": true, "a=%ff": false, "%ff=1": false, "a[b][%ff]=1": false, "a[][b]=%ff": false, "": true,
	} {
		v, err := parse(t, in, false)
		require.NoError(t, err)
		assert.Equal(t, want, v.ValidUTF8(), in)
	}
	assert.True(t, Value{}.ValidUTF8())
}

func FuzzParams(f *testing.F) {
	for _, r := range recordings(f) {
		if len(r.Body) < 4096 {
			f.Add(string(r.Body), false)
		}
		if _, query, ok := strings.Cut(r.Target, "?"); ok {
			f.Add(query, true)
		}
	}
	f.Add("t[][a][b]=1&t[][a][c]=2&t[0]u[h", true)
	f.Fuzz(func(t *testing.T, s string, lenient bool) {
		v, err := parse(t, s, lenient)
		if err != nil {
			return
		}
		if lenient {
			canonicalize(v.n)
		}
		checkTree(t, v)
		for _, post := range []bool{false, true} {
			_, _, _ = ReadCredentials(v, post)
		}
		if list, err := ReadTransactions(v); err == nil {
			for _, raw := range list {
				_, _ = raw.Decode(someday)
			}
		}
	})
}

// checkTree checks what every tree promises: names are found where they stand, and are found once.
func checkTree(t *testing.T, v Value) {
	for i := range v.Len() {
		name, value := v.Entry(i)
		if v.Kind() == Hash && v.Get(name) != value {
			t.Fatalf("%q is in twice", name)
		}
		checkTree(t, value)
	}
	if v.Kind() == Absent {
		t.Fatal("an entry is absent")
	}
}
