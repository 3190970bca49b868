package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const seekHelp = `Where the group shall go on reading:

  earliest, latest  the beginning or the end of each partition (also start, end)
  N                 an exact offset
  +N, -N            N offsets after or before where the group stands
  TIME              the first record written at that time or later:
                    2026-05-01, 2026-05-01T10:00:00Z, -1h30m or -2d (so long
                    ago), @1777629600 (Unix seconds or milliseconds)

An offset outside the log becomes the nearer end of it. The group must have no
members: they would commit their own positions over the new ones. What was
committed before is printed, and 'troupe group export' keeps it in a file.

--like OTHER goes to where another group stands, in the partitions for which
that one has committed something.`

// seekTarget is where to move: a bound, or so many offsets from where the group stands.
type seekTarget struct {
	bound
	shift bool // n is relative to the committed offset
	like  *otherGroup
}

// otherGroup is what another group has committed.
type otherGroup struct {
	name      string
	committed kadm.OffsetResponses
}

func parseTarget(s string, now time.Time) (seekTarget, error) {
	if t, ok := strings.CutPrefix(s, "@"); ok {
		at, err := parseTime(t, now)
		return seekTarget{bound: at}, badTarget(s, err)
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if s[0] == '+' || s[0] == '-' {
			return seekTarget{bound: bound{n: n}, shift: true}, nil
		}
		return seekTarget{bound: bound{kind: boundOffset, n: n}}, nil
	}
	if at, err := parseOffset(s); err == nil && at.kind != boundOpen {
		return seekTarget{bound: at}, nil
	}
	if strings.HasPrefix(s, "+") {
		return seekTarget{}, badTarget(s, errors.New("in the future"))
	}
	at, err := parseTime(s, now)
	return seekTarget{bound: at}, badTarget(s, err)
}

func badTarget(s string, err error) error {
	if err == nil {
		return nil
	}
	return usage("--to earliest, latest, 1234, -10, -1h or 2026-05-01T10:00:00Z", "%q is no place to go to", s)
}

// place moves r to the target; at has the offsets of the target's time.
func (t seekTarget) place(r *moveRow, at kadm.ListedOffsets) {
	switch {
	case r.Error != "":
	case t.like != nil:
		t.like.place(r)
	case t.shift && r.Before == nil:
		r.fail("nothing is committed to move from")
	case t.shift:
		r.to(*r.Before + t.n)
	case t.kind == boundEnd:
		r.to(r.end)
	case t.kind == boundOffset:
		r.to(t.n)
	case t.kind == boundTime:
		offset := offsetIn(at, r.Topic, r.Partition)
		if offset < 0 {
			offset = r.end
		}
		r.to(offset)
	default:
		r.to(r.start)
	}
}

// place moves r to where the other group stands.
func (o *otherGroup) place(r *moveRow) {
	there, ok := o.committed.Lookup(r.Topic, r.Partition)
	if !ok || there.At < 0 {
		r.fail(fmt.Sprintf("group %q has committed nothing there", o.name))
		return
	}
	r.to(there.At)
}

// lookOther asks what another group has committed, and narrows the choice of partitions to those.
func lookOther(ctx context.Context, c *client, name string, selected []chosen) (*otherGroup, []chosen, error) {
	committed, err := c.admin.FetchOffsets(ctx, name)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil, noGroups(fmt.Errorf("group %q: %w", name, err))
	}
	var narrowed []chosen
	for _, o := range committed.Sorted() {
		if o.At >= 0 && has(selected, o.Topic, o.Partition) {
			narrowed = append(narrowed, chosen{o.Topic, []int32{o.Partition}})
		}
	}
	if len(narrowed) == 0 {
		if _, err := lookGroup(ctx, c, name); err != nil {
			return nil, nil, err
		}
		return nil, nil, &problem{what: fmt.Sprintf("group %q has committed nothing there", name), next: "troupe group describe " + name, exit: exitNotFound}
	}
	return &otherGroup{name, committed}, narrowed, nil
}

func (a *app) groupSeek() *cobra.Command {
	cmd := &cobra.Command{
		Use: "seek GROUP --to WHERE|--like OTHER", Short: "Move the committed offsets of a group that has no members",
		Long: seekHelp,
		Example: "  troupe group seek billing --to -1h --dry-run\n  troupe group seek billing --to earliest --topic orders\n" +
			"  troupe group seek billing --to +1 --topic orders:3   # step over a record that cannot be read\n" +
			"  troupe group seek billing-new --like billing",
		Args: argCount(1, 1, "the name of one group"), ValidArgsFunction: a.completeGroups,
	}
	f := cmd.Flags()
	to := f.String("to", "", "`WHERE` to go on reading (see above)")
	like := f.String("like", "", "go to where this other `GROUP` stands")
	f.StringVar(like, "to-group", "", "--like, as rpk has it")
	f.Lookup("to-group").Hidden = true
	_ = cmd.RegisterFlagCompletionFunc("like", a.completeGroups)
	topics := f.StringArrayP("topic", "t", nil, topicPartHelp)
	dry := f.Bool("dry-run", false, "show what would be moved and move nothing")
	_ = cmd.RegisterFlagCompletionFunc("topic", a.completeTopics)
	return prints(a, cmd, func(ctx context.Context, names []string) (moveRows, error) {
		target, err := oneTarget(names[0], *to, *like, a.now())
		if err != nil {
			return nil, err
		}
		selected, err := parseChosen(*topics)
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (moveRows, error) {
			if *like != "" {
				if target.like, selected, err = lookOther(ctx, c, *like, selected); err != nil {
					return nil, err
				}
			}
			return a.seekGroup(ctx, c, names[0], target, selected, *dry)
		})
	})
}

// oneTarget is the place of --to, or none yet with --like.
func oneTarget(group, to, like string, now time.Time) (seekTarget, error) {
	switch {
	case to != "" && like != "":
		return seekTarget{}, usage("one of them", "--to and --like both say where to go")
	case like != "":
		return seekTarget{}, nil
	case to == "":
		return seekTarget{}, usage("troupe group seek "+group+" --to earliest --dry-run", "seek wants --to: where the group shall go on reading")
	}
	return parseTarget(to, now)
}

// seekGroup plans the moves and, unless dry, commits them. A group that does not exist yet is made by naming topics.
func (a *app) seekGroup(ctx context.Context, c *client, name string, target seekTarget, selected []chosen, dry bool) (moveRows, error) {
	g, err := lookGroup(ctx, c, name)
	if err != nil && !(errors.Is(err, kerr.GroupIDNotFound) && len(selected) > 0) {
		return nil, err
	}
	g.Group = name
	rows, bad := choose(ctx, c, name, selected)
	if len(rows) == 0 {
		if bad == nil {
			bad = &problem{what: fmt.Sprintf("group %q has committed nothing", name), next: "name what to move: --topic TOPIC[:P,P...]", exit: exitNotFound}
		}
		return nil, bad
	}
	var at kadm.ListedOffsets
	if target.kind == boundTime {
		topics := kadm.TopicsSet{}
		for _, r := range rows {
			topics.Add(r.Topic)
		}
		if at, err = c.admin.ListOffsetsAfterMilli(ctx, target.at.UnixMilli(), topics.Topics()...); err != nil {
			return nil, shardError(err)
		}
	}
	for i := range rows {
		rows[i].DryRun = dry
		target.place(&rows[i], at)
	}
	rows, err = a.moveGroup(ctx, c, g, rows, dry)
	return rows, errors.Join(bad, err)
}

// moveGroup commits planned moves, or only says whether they would be refused. It returns the rows unless nothing was moved, and
// the errors of single rows as well.
func (a *app) moveGroup(ctx context.Context, c *client, g groupInfo, rows moveRows, dry bool) (moveRows, error) {
	switch {
	case !g.idle() && !dry:
		return nil, busyGroup(g)
	case !g.idle():
		return rows, busyGroup(g)
	case dry:
		return rows, rows.errs()
	}
	if err := commitMoves(ctx, c, g, rows); err != nil {
		return nil, err
	}
	if !a.quiet {
		a.say("%s: %s", g.Group, rows.summary())
	}
	return rows, rows.errs()
}
