package main

import (
	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/config"
)

// environment is the annotation that holds what a command reads from the
// environment, which its help shows last.
const environment = "environment"

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "identwatch",
		Short: "Follow MarkSign identification sessions and post their results to a webhook",
		Long: `identwatch follows MarkSign identification sessions for backend applications: an
application enqueues a session token, identwatch polls the session until it is
final, posts the result to the application's webhook until it is acknowledged,
and removes the session at MarkSign.

To see it work, with nothing installed and nothing configured:

  identwatch dev`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetUsageTemplate(root.UsageTemplate() + `{{with index .Annotations "` + environment + `"}}
Environment:
{{.}}{{end}}`)
	root.AddCommand(newServe(), newEnqueue(), newStatus(), newSessions(), newRedeliver(), newAnswer(), newHealth(), newDoctor(), newDev(), newSimulate(), newReceive(), newSecret(), newVersion())
	return root
}

// readsEnvironment annotates a command with the variables that it reads; without
// names, with all there are.
func readsEnvironment(names ...string) map[string]string {
	return map[string]string{environment: config.Help(names...)}
}
