package worker

import "time"

// Figures of the parts, as users of a whole worker see them.
const (
	unusableTries    = 6                // an ok that cannot be used
	certificateTries = 3                // a certificate that takes too long
	rejectedPause    = 5 * time.Second  // between two calls of a rejected account
	claimsMargin     = 2 * time.Second  // that a claim outlives its post by
	maxRemoveTimeout = 10 * time.Second // of one DELETE
)
