package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// manCommand is for who packages the program: users have help.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man [COMMAND]",
		Short: "Write a manual page",
		Long: `Write the manual page of the program, or of one command, in the format of
man(7), to standard output.`,
		Example: `  durusctl man >durusctl.1
  durusctl man inspect >durusctl-inspect.1`,
		Hidden:                true,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageError{fmt.Sprintf("there is no command %q", strings.Join(args, " ")), cmd.CommandPath()}
			}
			topic.InitDefaultHelpFlag()
			a.printManual(topic)
			return nil
		},
	}
}

func (a *app) printManual(c *cobra.Command) {
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	f := func(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }
	f(`.TH %s 1 "" "%s"`, strings.ToUpper(roff(name)), roff(version()))
	f(".SH NAME\n%s \\- %s", roff(name), roff(c.Short))
	f(".SH SYNOPSIS\n.B %s", roff(useLine(c)))
	f(".SH DESCRIPTION\n%s", paragraphs(c.Long))
	if c.HasAvailableSubCommands() {
		f(".SH COMMANDS")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				f(".TP\n.B %s\n%s", roff(sub.Name()), roff(sub.Short))
			}
		}
	}
	f(".SH OPTIONS\n.nf\n%s\n.fi", roff(strings.TrimRight(c.Flags().FlagUsages(), "\n")))
	if c.HasExample() {
		f(".SH EXAMPLES\n.nf\n%s\n.fi", roff(c.Example))
	}
	f(".SH EXIT STATUS\n0 ok, 1 failed, 2 usage, 3 problems found, 4 not a durus file or too new, 5 locked or timed out, 6 not found, 130 interrupted.")
	if c.HasParent() {
		f(".SH SEE ALSO\n.BR %s (1)", roff(c.Root().Name()))
	}
}

// useLine is how a command is called.
func useLine(c *cobra.Command) string {
	if c.HasParent() {
		return c.UseLine()
	}
	return c.Use
}

// paragraphs sets the text of a help page.
func paragraphs(s string) string {
	return strings.ReplaceAll(roff(s), "\n\n", "\n.PP\n")
}

// roff escapes text: backslashes, hyphens that are not to become dashes, and lines
// that begin like a request.
func roff(s string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
