package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) indexCommand() *cobra.Command {
	return fileArgs(&cobra.Command{
		Use:   "index FILE",
		Short: "Write the index, so that opening is fast",
		Long: `Write the checkpoint of the index beside the database, FILE.index. Programs that
open the database use it in place of reading the file. pack writes it, too, and
so does a program that closes a database which has grown. It is a cache: it may
be removed at any time.`,
		Example: `  durusctl index bank.durus`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.index(cmd.Context(), args[0])
		},
	}, 0)
}

func (a *app) index(ctx context.Context, path string) error {
	st, err := openToWrite(path)
	if err != nil {
		return err
	}
	err = st.WriteIndex(ctx)
	if closeErr := st.Close(); err == nil {
		err = closeErr
	}
	return err
}
