package test

import (
	"bytes"
	"cmp"
	pixels "image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// mostColours is how many colours a screenshot that is kept has: a few lines of text and plain surfaces lose nothing that is seen.
const mostColours = 160

// smaller encodes a screenshot with its most frequent colours, and the nearest of them for the rest: a third of the bytes.
func smaller(t *testing.T, shot pixels.Image) []byte {
	t.Helper()
	bounds, count := shot.Bounds(), map[color.RGBA]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[color.RGBAModel.Convert(shot.At(x, y)).(color.RGBA)]++
		}
	}
	order := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var colours color.Palette
	for _, c := range order[:min(mostColours, len(order))] {
		colours = append(colours, c)
	}
	few := pixels.NewPaletted(bounds, colours)
	draw.Draw(few, bounds, shot, bounds.Min, draw.Src)
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few))
	return out.Bytes()
}
