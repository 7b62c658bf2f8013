package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// root is an entry of the root directory.
type root struct {
	name string
	oid  storage.OID
}

// roots lists the root directory in the order of the names.
func (v *view) roots() ([]root, error) {
	rec, err := v.read(rootOID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []root
	dir, _ := v.value(&rec).(codec.Map)
	for _, e := range dir {
		name, ok := e.Key.(string)
		ref, isRef := e.Value.(codec.RefValue)
		if ok && isRef {
			list = append(list, root{name, storage.OID(ref.OID)})
		}
	}
	return list, nil
}

// viewOf opens a database to look at the object that an argument names.
func (a *app) viewOf(ctx context.Context, path, arg string) (*view, storage.OID, error) {
	v, err := a.view(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	oid, err := v.target(arg)
	if err != nil {
		v.close()
		return nil, 0, err
	}
	return v, oid, nil
}

// target is the object that an argument names: by its id, which need not be there,
// by the name of a root, which must, or by class@oid, as references are printed.
func (v *view) target(arg string) (storage.OID, error) {
	oid, notID := storage.ParseOID(arg)
	if notID == nil {
		return oid, nil
	}
	roots, err := v.roots()
	if err != nil {
		return 0, err
	}
	names := []string{}
	for _, r := range roots {
		if r.name == arg {
			return r.oid, nil
		}
		names = append(names, fmt.Sprintf("%q", r.name))
	}
	if i := strings.LastIndexByte(arg, '@'); i > 0 {
		if oid, err := storage.ParseOID(arg[i+1:]); err == nil && oid != 0 {
			return oid, v.checkClass(oid, arg)
		}
	}
	has := "it has no roots"
	if len(names) > 0 {
		has = "its roots are " + strings.Join(names[:min(len(names), maxReferences)], ", ")
		if n := len(names) - maxReferences; n > 0 {
			has += fmt.Sprintf(" and %d more", n)
		}
	}
	return 0, usageError{fmt.Sprintf("%q is not an object id, nor the name of a root of %s: %s", arg, v.path, has), v.command}
}

// checkClass refuses class@oid if the object is of another class. One that is not
// there is the business of who looks for it.
func (v *view) checkClass(oid storage.OID, arg string) error {
	r, err := v.reference(oid)
	if err != nil || r.Missing || plain(r.String()) == arg {
		return err
	}
	return usageError{fmt.Sprintf("there is no %s in %s: object %s is %s", arg, v.path, oid, r), v.command}
}

// checkTarget refuses what names no object of any database.
func checkTarget(cmd *cobra.Command, arg string) error {
	if _, err := storage.ParseOID(arg); arg != "" && (err == nil || strings.Trim(arg, "0123456789") != "") {
		return nil
	}
	return usageError{fmt.Sprintf("%q is not an object id: give a decimal number such as durusctl log prints, class@number, or the name of a root", arg), cmd.CommandPath()}
}

// objectArgs makes a command of one that takes a file and an object.
func objectArgs(cmd *cobra.Command) *cobra.Command {
	fileArgs(cmd, 1)
	inner := cmd.Args
	cmd.Args = func(c *cobra.Command, args []string) error {
		if err := inner(c, args); err != nil {
			return err
		}
		if len(args) < 2 {
			return fmt.Errorf("%s needs a FILE and an OID", c.Name())
		}
		return nil
	}
	return completeObjects(cmd)
}

// maxCompletions is how many objects a shell is offered.
const maxCompletions = 40

// completeObjects lets a shell complete the second argument: the names of roots,
// and the ids of the first objects.
func completeObjects(cmd *cobra.Command) *cobra.Command {
	file := cmd.ValidArgsFunction
	cmd.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return file(c, args, begun)
		}
		return objectNames(c, args[0], begun), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

func objectNames(cmd *cobra.Command, path, begun string) []string {
	v, err := new(app).view(cmd.Context(), path)
	if err != nil {
		return nil // a shell that completes has no use for errors
	}
	defer v.close()
	var names []string
	roots, _ := v.roots()
	for _, r := range roots {
		if strings.HasPrefix(r.name, begun) && plain(r.name) == r.name {
			names = append(names, r.name+"\troot")
		}
	}
	first, err := storage.ParseOID(begun)
	if err != nil {
		return names
	}
	low, high := first, first
	if first == 0 { // nothing was begun
		low, high = rootOID, storage.MaxOID
	}
	// The ids that begin so: 17, 170-179, 1700-1799, ...
	for ; low <= storage.MaxOID && len(names) < maxCompletions; low, high = low*10, high*10+9 {
		for p, err := range v.snap.Objects(low) {
			if err != nil || p.OID > high || len(names) >= maxCompletions {
				break
			}
			r, _ := v.reference(p.OID)
			names = append(names, p.OID.String()+"\t"+plain(r.Class))
		}
		if first == 0 {
			break
		}
	}
	return names
}
