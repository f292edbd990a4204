package session

import "strings"

// Name names a session: by its account and its token, which together may stand in a
// key of Redis. [NewName] and [ParseID] make one, and [Job.Name] does. The zero Name
// is that of no session.
type Name struct{ account, token string }

// NewName names the session of an account that has a token; an account of "" is
// DefaultAccount. The error is a *ValidationError that says which of the two cannot be.
func NewName(account, token string) (Name, error) {
	var found faults
	found.add("token", tokenProblem(token))
	found.add("account", accountProblem(account))
	if err := found.err(); err != nil {
		return Name{}, err
	}
	return Job{Account: account, Token: token}.Name(), nil
}

// ParseID reads a name as ID writes it. The error is a *ValidationError.
func ParseID(id string) (Name, error) {
	account, token, _ := strings.Cut(id, ":")
	if account == "" {
		return Name{}, &ValidationError{[]FieldError{{"account", "is required"}}}
	}
	return NewName(account, token)
}

// Account is the name of the MarkSign account.
func (n Name) Account() string { return n.account }

// Token is MarkSign's session token.
func (n Name) Token() string { return n.token }

// ID is "account:token": the id of the session's task in every queue, and the name
// of its record.
func (n Name) ID() string { return n.account + ":" + n.token }
