package httpd

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-broker/troupe/group"
)

const (
	// lagRowsMax bounds the positions of groups that one scrape shows, about half a KiB each: those furthest behind. How many are left out
	// is shown as well.
	lagRowsMax = 2000
	// lagWait bounds the time a scrape spends on asking for them.
	lagWait = 2 * time.Second
)

// groups shows the coordinators of groups and transactions.
func (c collector) groups(out chan<- prometheus.Metric) {
	m := c.Groups
	if m == nil {
		return
	}
	groups := row{"troupe_groups", "Groups coordinated here, by state.", []string{"state"}}
	for i, state := range group.GroupStates {
		groups.gauge(out, float64(m.Groups[i].Load()), state)
	}
	transactions := row{"troupe_transactional_ids", "Transactional ids coordinated here, by state.", []string{"state"}}
	for i, state := range group.TransactionStates {
		transactions.gauge(out, float64(m.Transactions[i].Load()), state)
	}
	row{name: "troupe_coordinator_reloads_total", help: "Coordinators, and shards of them, that were read anew from the log after a failure."}.counter(out, float64(m.Reloads.Load()))
	row{name: "troupe_coordinator_refusals_total", help: "Groups, transactional ids and members refused because of a limit of the broker."}.counter(out, float64(m.Refused.Load()))
	row{name: "troupe_coordinator_busy_total", help: "Commands refused because very many waited for the same coordinator; clients send them again."}.counter(out, float64(m.Busy.Load()))
	of := func(name, help string) row { return row{name, help, []string{"topic"}} }
	for i, topic := range []string{group.OffsetsTopic, group.TransactionsTopic} {
		of("troupe_coordinator_batches_total", "Batches that coordinators appended to their logs.").counter(out, float64(m.Batches[i].Load()), topic)
		of("troupe_coordinator_records_total", "Records that coordinators appended to their logs.").counter(out, float64(m.Records[i].Load()), topic)
		of("troupe_coordinator_records_loaded_total", "Records that coordinators read from their logs.").counter(out, float64(m.Loaded[i].Load()), topic)
		of("troupe_coordinator_records_unknown_total", "Of these, records of kinds that are passed over.").counter(out, float64(m.Unknown[i].Load()), topic)
		of("troupe_coordinator_records_damaged_total", "Of these, records that cannot be understood.").counter(out, float64(m.Damaged[i].Load()), topic)
	}
	c.lags(out)
}

func (c collector) lags(out chan<- prometheus.Metric) {
	if c.Lags == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lagWait)
	defer cancel()
	labels := []string{"group", "topic", "partition"}
	lag := row{"troupe_group_lag_records", "Offsets between a group's committed position and the high watermark.", labels}.desc()
	age := row{"troupe_group_lag_seconds", "Age of the record that a group reads next; 0 if there is none.", labels}.desc()
	at := row{"troupe_group_committed_offset", "Committed position of a group.", labels}.desc()
	lags, leftOut := c.Lags(ctx, lagRowsMax)
	row{name: "troupe_group_positions_left_out", help: "Positions of groups that this scrape has no rows for, since there are too many: those least behind."}.gauge(out, float64(leftOut))
	for _, l := range lags {
		partition := strconv.Itoa(int(l.Partition))
		show := func(d *prometheus.Desc, v float64) {
			if m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, v, l.Group, l.Topic, partition); err == nil { // a group's name may be no UTF-8
				out <- m
			}
		}
		show(lag, float64(l.Records))
		show(at, float64(l.Committed))
		if l.Age >= 0 {
			show(age, l.Age.Seconds())
		}
	}
}
