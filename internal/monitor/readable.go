package monitor

import (
	"encoding/json"
	"fmt"
)

// maxShown is how much is shown of a payload or a result, in bytes. Those of
// identwatch are shorter.
const maxShown = 8 << 10

// readable is a task's payload or result as the page gets it. Theirs is JSON,
// which the page lays out; other software may keep anything in its own queues.
func readable(_ string, data []byte) string {
	switch {
	case len(data) == 0:
		return ""
	case len(data) > maxShown:
		return fmt.Sprintf("%q… (%d bytes in all)", data[:maxShown], len(data))
	case json.Valid(data):
		return string(data)
	default:
		return fmt.Sprintf("%q", data)
	}
}
