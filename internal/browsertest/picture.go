package browsertest

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"maps"
	"slices"
)

// smaller is nearly the same picture in a third of the bytes, for a repository: in
// 256 colours, which for a page are all but some at the edges of letters.
func smaller(picture []byte) ([]byte, error) {
	decoded, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	bounds := decoded.Bounds()
	reduced := image.NewPaletted(bounds, commonest(decoded))
	indexes := map[color.Color]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := decoded.At(x, y)
			index, known := indexes[c]
			if !known {
				index = uint8(reduced.Palette.Index(c)) //nolint:gosec // of 256
				indexes[c] = index
			}
			reduced.SetColorIndex(x, y, index)
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced)
	return out.Bytes(), err
}

// commonest are 256 colours at most: those that a picture has most of, but none
// that is hardly another than one before it.
func commonest(picture image.Image) color.Palette {
	counts := map[color.Color]int{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[picture.At(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	var palette color.Palette
	for _, c := range all {
		if len(palette) < 256 && !slices.ContainsFunc(palette, func(taken color.Color) bool { return alike(c, taken) }) {
			palette = append(palette, c)
		}
	}
	return palette
}

// alike reports whether hardly anybody could tell two colours apart.
func alike(a, b color.Color) bool {
	const near = 4 << 8 // of 16 bits a channel
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	return apart(ar, br) < near && apart(ag, bg) < near && apart(ab, bb) < near
}

func apart(a, b uint32) uint32 { return max(a, b) - min(a, b) }
