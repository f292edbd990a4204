package config

import (
	"io/fs"
	"os"
	"slices"
)

// forEverybody are the permissions by which everybody on the machine can read or
// change a file. What its group may do is the operator's choice: that is how a
// container's user gets its secrets.
const forEverybody fs.FileMode = 0o006

// ExposedFiles returns the variables that name a secret's file which everybody on
// this machine can read or change, such as "WEBHOOK_SECRETS_FILE", and with
// accounts "SHOP_WEBHOOK_SECRETS_FILE". It says nothing about a file that cannot be
// found: the loaders do.
func ExposedFiles(accounts ...string) []string {
	var exposed []string
	for _, s := range Settings() {
		if !s.Secret {
			continue
		}
		names := []string{s.fileName()}
		for _, account := range accounts {
			if s.OfAccount {
				names = append(names, prefix(account)+"_"+s.fileName())
			}
		}
		exposed = append(exposed, slices.DeleteFunc(names, isKept)...)
	}
	return exposed
}

// isKept reports whether the variable names no file that is exposed.
func isKept(name string) bool {
	info, err := os.Stat(os.Getenv(name)) //nolint:gosec // the operator says which file
	return err != nil || info.Mode().Perm()&forEverybody == 0
}
