package browsertest

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"
)

func TestSmaller_KeepsTheRareColours(t *testing.T) {
	t.Parallel()
	picture := image.NewNRGBA(image.Rect(0, 0, 300, 200))
	for i := range picture.Pix {
		picture.Pix[i] = byte(i * i / 97)
		if i%4 == 3 {
			picture.Pix[i] = 255
		}
	}
	for x := range 300 {
		for y := range 150 {
			picture.SetNRGBA(x, y, color.NRGBA{R: 250, G: 251, B: 252, A: 255})
		}
	}
	rare := color.NRGBA{R: 200, G: 10, B: 20, A: 255}
	for x := range 300 {
		picture.SetNRGBA(x, 20, rare)
	}
	var whole bytes.Buffer
	if err := png.Encode(&whole, picture); err != nil {
		t.Fatal(err)
	}
	reduced, err := smaller(whole.Bytes())
	if err != nil || len(reduced) >= whole.Len() {
		t.Fatalf("%d bytes of %d, %v", len(reduced), whole.Len(), err)
	}
	got, err := png.Decode(bytes.NewReader(reduced))
	if err != nil || got.Bounds() != picture.Bounds() {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, at := range []image.Point{{7, 20}, {7, 30}} {
		r, g, b, _ := got.At(at.X, at.Y).RGBA()
		wantR, wantG, wantB, _ := picture.At(at.X, at.Y).RGBA()
		if apart(r, wantR)+apart(g, wantG)+apart(b, wantB) > 3*(4<<8) {
			t.Errorf("at %v: got %v, want %v", at, got.At(at.X, at.Y), picture.At(at.X, at.Y))
		}
	}
	if _, err := smaller([]byte("no picture")); err == nil {
		t.Error("what is no picture was taken for one")
	}
}
