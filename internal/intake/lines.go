package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
)

// maxLine is the longest line that is taken for a token with white space around
// it, in bytes. What is longer is refused, and the stream goes on.
const maxLine = 1024

var errLongLine = errors.New("the line is longer than 1024 bytes, which no token is")

// Tokens returns the arguments as items.
func Tokens(tokens []string) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for _, token := range tokens {
			if !yield(Item{Token: token}) {
				return
			}
		}
	}
}

// Lines reads one item from each line, as the lines come. Blank ones are left
// out, and so is white space around a token, a carriage return among it. When
// the reader fails, the last item holds its error.
func Lines(r io.Reader) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		lines := bufio.NewReaderSize(r, maxLine)
		for number := 1; ; number++ {
			line, err := readLine(lines)
			token := string(bytes.TrimSpace(line))
			switch {
			case errors.Is(err, errLongLine):
				if !yield(Item{Line: number, Token: token, Refusal: err}) {
					return
				}
				continue
			case token != "" && !yield(Item{Line: number, Token: token}):
				return
			case err != nil && !errors.Is(err, io.EOF):
				yield(Item{Line: number, Err: err})
				return
			case err != nil:
				return
			}
		}
	}
}

// readLine returns a line, or with errLongLine the beginning of one whose rest
// it has skipped. The last line may come with io.EOF.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	beginning := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return beginning, errLongLine // at the end of the stream the next line is empty, and its end
}
