package doctor

import (
	"fmt"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/webhook"
)

// Account is one account as the service has it.
type Account struct {
	Name     string
	MarkSign *marksign.Client
	// Host is MarkSign's, to be shown.
	Host   string
	Sender *webhook.Sender
	// CallbackURL is where events of sessions that name none are posted; "" is nowhere.
	CallbackURL string
	// Signer signs the account's events. Secrets and PublicKey are what receivers
	// verify them with; the zero key is none.
	Signer    *webhook.Signer
	Secrets   []webhook.Secret
	PublicKey webhook.PublicKey
	// APIKeys is how many keys the account's HTTP API takes.
	APIKeys int
}

func (a Account) countKeys() finding {
	switch a.APIKeys {
	case 0:
		return finding{OK, "none: the HTTP API is off", ""}
	case 1:
		return finding{OK, "1 key for the HTTP API", ""}
	}
	return finding{OK, fmt.Sprint(a.APIKeys, " keys for the HTTP API"), ""}
}
