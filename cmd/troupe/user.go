package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func (a *app) user() *cobra.Command {
	c := noun("user", "Create, list and delete users that log in with SCRAM", a.userCreate(), a.userList(), a.userDelete())
	c.Aliases = []string{"users"}
	return c
}

// userRow is one credential of a user. What a user logs in with is never shown: nobody but the user has it.
type userRow struct {
	User       string `json:"user"`
	Mechanism  string `json:"mechanism" doc:"SCRAM-SHA-256 or SCRAM-SHA-512"`
	Iterations int32  `json:"iterations" doc:"what a guess at the password costs"`
}

type userRows []userRow

func (rows userRows) table() [][]string {
	out := [][]string{{"USER", "MECHANISM", "ITERATIONS"}}
	for _, r := range rows {
		out = append(out, []string{r.User, r.Mechanism, decimal(r.Iterations)})
	}
	return out
}

func (a *app) userList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list [REGEX...]", Aliases: []string{"ls"}, Short: "List users and the mechanisms they can log in with", ValidArgsFunction: a.completeUsers,
		Long: "List users: all of them, or those whose whole name one of the expressions matches. One row for each mechanism of a user.",
	}
	return prints(a, cmd, func(ctx context.Context, args []string) (userRows, error) {
		match, err := matcher(args)
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (userRows, error) {
			rows, err := listUsers(ctx, c)
			return slices.DeleteFunc(rows, func(r userRow) bool { return !match(r.User) }), err
		})
	})
}

func listUsers(ctx context.Context, c *client) (userRows, error) {
	users, err := c.admin.DescribeUserSCRAMs(ctx)
	rows := userRows{}
	for _, u := range users.Sorted() {
		if u.Err != nil {
			err = errors.Join(err, fmt.Errorf("user %q: %w", u.User, u.Err))
		}
		for _, i := range u.CredInfos {
			rows = append(rows, userRow{u.User, i.Mechanism.String(), i.Iterations})
		}
	}
	return rows, err
}

func (a *app) userCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create USER", Short: "Create a user, or give it another mechanism or password", Args: argCount(1, 1, "the name of one user"),
		Long: "Create a user that can log in with a password. The password is asked for; without a terminal it is the first line of standard input,\n" +
			"or of --new-password-file. It does not leave this machine: the broker is sent what it needs to recognise it, and keeps no more.",
		Example: "  troupe user create alice\n  troupe user create alice --replace --mechanism SCRAM-SHA-512 --new-password-file alice.txt",
	}
	f := cmd.Flags()
	names := f.StringSlice("mechanism", []string{kadm.ScramSha256.String()}, "SCRAM-SHA-256 or SCRAM-SHA-512; may be repeated")
	iterations := f.Int32("iterations", 4096, "what a guess at the password costs: 4096 to 16384")
	file := f.String("new-password-file", "", "read the password from the first line of this `FILE`")
	replace := f.Bool("replace", false, "give a user that exists this password")
	return prints(a, cmd, func(ctx context.Context, args []string) (userRows, error) {
		mechanisms, err := scramMechanisms(*names)
		if err != nil {
			return nil, err
		}
		if *iterations < 4096 || *iterations > 16384 {
			return nil, usage("--iterations 4096 to 16384", "%d iterations", *iterations)
		}
		password, err := a.newPassword(*file)
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (userRows, error) {
			if !*replace {
				if err := newUser(ctx, c, args[0], mechanisms); err != nil {
					return nil, err
				}
			}
			return setPassword(ctx, c, args[0], password, mechanisms, *iterations)
		})
	})
}

func scramMechanisms(names []string) (out []kadm.ScramMechanism, _ error) {
	for _, name := range names {
		switch m := strings.ToUpper(name); m {
		case kadm.ScramSha256.String():
			out = append(out, kadm.ScramSha256)
		case kadm.ScramSha512.String():
			out = append(out, kadm.ScramSha512)
		default:
			return nil, usage("--mechanism SCRAM-SHA-256|SCRAM-SHA-512", "no SCRAM mechanism %q", name)
		}
	}
	return out, nil
}

// newUser refuses one that has a password already.
func newUser(ctx context.Context, c *client, name string, mechanisms []kadm.ScramMechanism) error {
	rows, err := listUsers(ctx, c)
	for _, m := range mechanisms {
		if slices.ContainsFunc(rows, func(r userRow) bool { return r.User == name && r.Mechanism == m.String() }) {
			return &problem{what: fmt.Sprintf("user %q has a password for %s already", name, m), next: "--replace gives it another one"}
		}
	}
	return err
}

// setPassword sets one mechanism after the other: a request may name a user once.
func setPassword(ctx context.Context, c *client, name, password string, mechanisms []kadm.ScramMechanism, iterations int32) (rows userRows, _ error) {
	for _, m := range mechanisms {
		done, err := c.admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: name, Mechanism: m, Iterations: iterations, Password: password}})
		if err == nil {
			err = userError(done[name])
		}
		if err != nil {
			return rows, fmt.Errorf("user %q: %w", name, err)
		}
		rows = append(rows, userRow{name, m.String(), iterations})
	}
	return rows, nil
}

func userError(r kadm.AlteredUserSCRAM) error {
	if r.Err != nil && r.ErrMessage != "" {
		return &detailed{r.Err, r.ErrMessage}
	}
	return r.Err
}

func (a *app) userDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete USER...", Aliases: []string{"rm"}, Short: "Delete users, or what they have for one mechanism", Args: argCount(1, -1, "the name of at least one user"),
		Long:              "Delete users. Connections that they have stay; no new one can log in.",
		ValidArgsFunction: a.completeUsers,
	}
	f := cmd.Flags()
	names := f.StringSlice("mechanism", nil, "only what the users have for this mechanism; may be repeated")
	yes := f.BoolP("yes", "y", false, "do not ask")
	dry := f.Bool("dry-run", false, "show what would be deleted and delete nothing")
	return prints(a, cmd, func(ctx context.Context, users []string) (changeRows, error) {
		mechanisms, err := scramMechanisms(*names)
		if err != nil {
			return nil, err
		}
		c, err := a.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		rows, err := a.deleteUsers(ctx, c, users, mechanisms, *yes, *dry)
		return rows, c.explain(err)
	})
}

func (a *app) deleteUsers(ctx context.Context, c *client, users []string, mechanisms []kadm.ScramMechanism, yes, dry bool) (changeRows, error) {
	doomed, err := doomedUsers(ctx, c, users, mechanisms)
	if err != nil {
		return nil, err
	}
	var rows changeRows
	if dry {
		for _, d := range doomed {
			rows = append(rows, changeRow{Name: d.User, Done: "deleted: " + d.Mechanism.String(), DryRun: true})
		}
		return rows, nil
	}
	if err := a.confirm(yes, "delete "+count(len(users), "user")+" ("+strings.Join(users, ", ")+")"); err != nil {
		return nil, err
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	var bad failed
	for _, d := range doomed {
		done, err := c.admin.AlterUserSCRAMs(ctx, []kadm.DeleteSCRAM{d}, nil)
		if err == nil {
			err = done[d.User].Err
		}
		if err != nil {
			rows = append(rows, bad.addOf("user", d.User, err, done[d.User].ErrMessage))
			continue
		}
		rows = append(rows, changeRow{Name: d.User, Done: "deleted: " + d.Mechanism.String()})
	}
	return rows, bad.err()
}

// doomedUsers are the credentials a delete is about; every user has one at least.
func doomedUsers(ctx context.Context, c *client, users []string, mechanisms []kadm.ScramMechanism) (out []kadm.DeleteSCRAM, _ error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	rows, err := listUsers(ctx, c)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, user := range users {
		before := len(out)
		for _, r := range rows {
			names = append(names, r.User)
			m, _ := scramMechanisms([]string{r.Mechanism})
			if r.User == user && len(m) == 1 && (len(mechanisms) == 0 || slices.Contains(mechanisms, m[0])) {
				out = append(out, kadm.DeleteSCRAM{User: user, Mechanism: m[0]})
			}
		}
		if len(out) > before {
			continue
		}
		p := &problem{what: fmt.Sprintf("no user %q", user), next: "troupe user list", exit: exitNotFound, cause: kerr.ResourceNotFound}
		if slices.Contains(names, user) {
			p.what = fmt.Sprintf("user %q has nothing for that mechanism", user)
		} else if near := nearest(user, names); near != "" {
			p.next = fmt.Sprintf("did you mean %q? 'troupe user list' shows all", near)
		}
		return nil, p
	}
	return out, nil
}

// completeUsers completes names of users.
func (a *app) completeUsers(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completeFrom(cmd, func(ctx context.Context, c *client) ([]string, error) {
		rows, err := listUsers(ctx, c)
		var names []string
		for _, r := range rows {
			names = append(names, r.User)
		}
		return slices.Compact(names), err
	})
}
