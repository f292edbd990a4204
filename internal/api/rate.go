package api

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// allowance is how many requests an account may make: so many a second, and so
// many at once as the largest batch has sessions. It is of one process.
type allowance struct{ limiter *rate.Limiter } // nil: no bound

func newAllowance(perSecond float64) allowance {
	if perSecond <= 0 {
		return allowance{}
	}
	return allowance{rate.NewLimiter(rate.Limit(perSecond), max(maxBatch, int(perSecond)))}
}

// charge takes n requests from what is left, or says when to come again.
func (a allowance) charge(n int) *Problem {
	if a.limiter == nil || a.limiter.AllowN(time.Now(), n) {
		return nil
	}
	missing := float64(n) - a.limiter.Tokens()
	wait := max(1, int(math.Ceil(missing/float64(a.limiter.Limit()))))
	return errRate.with("Retry-After", strconv.Itoa(wait))
}

// tell says in the headers of an answer what is left, after
// draft-ietf-httpapi-ratelimit-headers-10.
func (a allowance) tell(w http.ResponseWriter) {
	if a.limiter == nil {
		return
	}
	burst, left := a.limiter.Burst(), max(a.limiter.Tokens(), 0)
	seconds := func(requests float64) int { return int(math.Ceil(requests / float64(a.limiter.Limit()))) }
	w.Header().Set("RateLimit-Policy", fmt.Sprintf(`"account";q=%d;w=%d`, burst, seconds(float64(burst))))
	w.Header().Set("RateLimit", fmt.Sprintf(`"account";r=%d;t=%d`, int(left), seconds(float64(burst)-left)))
}
