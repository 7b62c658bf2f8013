package main

import "github.com/spf13/cobra"

// commandGroups are the commands as help shows them, by what they are for.
var commandGroups = []struct {
	title string
	names []string
}{
	{"Look inside", []string{"inspect", "census", "refs", "referrers", "path", "graph", "log", "tail", "history", "diff", "locks", "top"}},
	{"Upkeep", []string{"pack", "index", "migrate", "retype", "undo", "backup"}},
	{"Rescue", []string{"verify", "salvage", "restore", "dump", "load"}},
	{otherGroup, []string{"completion", "version"}},
}

// otherGroup has help, too, which cobra adds itself.
const otherGroup = "Other"

// group puts each command into its group, in the order of the table. What is
// missing there is shown at the end.
func group(root *cobra.Command) {
	cobra.EnableCommandSorting = false
	byName := make(map[string]*cobra.Command)
	for _, c := range root.Commands() {
		byName[c.Name()] = c
		root.RemoveCommand(c)
	}
	for _, g := range commandGroups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, name := range g.names {
			if c := byName[name]; c != nil {
				c.GroupID = g.title
				root.AddCommand(c)
				delete(byName, name)
			}
		}
	}
	for _, c := range byName {
		root.AddCommand(c)
	}
}

// usageTemplate is cobra's, in half as many lines, and with exit codes where
// everybody looks first.
const usageTemplate = `Usage:
  {{if .Runnable}}{{if .HasParent}}{{.UseLine}}{{else}}{{.Use}}{{end}}{{else}}{{.CommandPath}} COMMAND{{end}}
{{- if .HasAvailableSubCommands}}
{{- $root := .}}
{{- range $i, $group := .Groups}}{{if eq $i 0}}
{{end}}
{{$group.Title}}:
{{- range $root.Commands}}{{if and (eq .GroupID $group.ID) (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}
{{- range .Commands}}{{if and (eq .GroupID "") .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}{{end}}
{{- if or .HasAvailableLocalFlags .HasAvailableInheritedFlags}}

Flags:
{{.Flags.FlagUsages | trimTrailingWhitespaces}}{{end}}
{{- if not .HasParent}}

Exit codes: 0 ok, 1 failed, 2 usage, 3 problems found, 4 not a durus file or too
new, 5 locked or timed out, 6 not found, 130 interrupted.{{end}}
`
