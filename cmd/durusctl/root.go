package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// app is what the commands share.
type app struct {
	out   *bufio.Writer // data; flushed at the end, and by tail after each commit
	err   io.Writer     // notes and progress
	json  bool
	color bool // out is a terminal that shows bold and colors
	width int  // columns of out; 0: no terminal, any number

	errWidth int // columns of err; 0: no terminal, any number

	size func() (columns, rows int) // of out, at this moment

	// running is set when arguments and flags were accepted: an error before
	// is one of usage, wherever in cobra it comes from.
	running bool
	command string // that runs, for messages
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{
		out:   bufio.NewWriter(stdout),
		err:   stderr,
		color: isTerminal(stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		size:  func() (columns, rows int) { return sizeOf(stdout) },
	}
	a.width, _ = a.size()
	if isTerminal(stderr) {
		a.errWidth, _ = sizeOf(stderr)
	}
	root := a.root()
	root.SetArgs(args)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.running {
		err = usageError{err.Error(), cmd.CommandPath()}
	}
	if flushErr := a.out.Flush(); err == nil {
		err = flushErr
	}
	return a.fail(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "durusctl COMMAND FILE [ARGS]",
		Short:             "Look into durus databases, keep them small and safe",
		Long:              `Look into durus databases in use. Only index, pack, retype, restore, undo write.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Version:           version(),
		Args:              cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{"which command?", cmd.CommandPath()}
			}
			text := fmt.Sprintf("there is no command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += ", did you mean " + strings.Join(near, " or ") + "?"
			}
			return usageError{text, cmd.CommandPath()}
		},
		PersistentPreRun: func(cmd *cobra.Command, _ []string) { a.running, a.command = true, cmd.CommandPath() },
	}
	root.SetOut(a.out) // before the completion command is made, which remembers it
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(usageTemplate)
	root.SuggestionsMinimumDistance = 2
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, with ids as strings")
	root.AddCommand(
		a.inspectCommand(),
		a.censusCommand(),
		a.refsCommand(),
		a.referrersCommand(),
		a.pathCommand(),
		a.graphCommand(),
		a.verifyCommand(),
		a.logCommand(),
		a.tailCommand(),
		a.topCommand(),
		a.historyCommand(),
		a.diffCommand(),
		a.locksCommand(),
		a.migrateCommand(),
		a.retypeCommand(),
		a.packCommand(),
		a.backupCommand(),
		a.restoreCommand(),
		a.indexCommand(),
		a.dumpCommand(),
		a.loadCommand(),
		a.salvageCommand(),
		a.undoCommand(),
		a.versionCommand(),
		a.manCommand(),
	)
	root.SetHelpCommand(helpCommand())
	root.InitDefaultCompletionCmd()
	group(root)
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Short = "Write a completion script for a shell"
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() } // so that its Args are looked at
		}
	}
	return root
}

// helpCommand is cobra's, but for a wrong topic being an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Tell about a command",
		GroupID: otherGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || topic == nil || len(rest) > 0 {
				return usageError{fmt.Sprintf("there is no command %q", strings.Join(args, " ")), cmd.Root().CommandPath()}
			}
			topic.InitDefaultHelpFlag()
			topic.InitDefaultVersionFlag()
			return topic.Help()
		},
	}
}

// fileArgs accepts a database and up to more arguments. A shell completes file
// names for the first one only.
func fileArgs(cmd *cobra.Command, more int) *cobra.Command {
	cmd.Args = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("%s needs a FILE", cmd.Name())
		case len(args) > 1+more:
			return fmt.Errorf("%s does not know what to do with %q", cmd.Name(), args[1+more])
		}
		return nil
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cmd.DisableFlagsInUseLine = true
	return cmd
}
