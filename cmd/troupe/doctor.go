package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl"
)

// finding is one thing the doctor looked at.
type finding struct {
	Where  string  `json:"where" doc:"an address, or this machine"`
	Check  string  `json:"check"`
	Status string  `json:"status" doc:"ok, warn or fail"`
	Detail string  `json:"detail"`
	Millis float64 `json:"ms,omitempty" doc:"how long it took"`
	Next   string  `json:"next,omitempty" doc:"what to do about it"`
}

type findings []finding

const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

func (all findings) table() (out [][]string) {
	for i, f := range all {
		if i == 0 || all[i-1].Where != f.Where {
			if i > 0 {
				out = append(out, nil)
			}
			out = append(out, []string{f.Where})
		}
		detail := f.Detail
		if f.Millis > 0 {
			detail += fmt.Sprintf(" (%.1f ms)", f.Millis)
		}
		out = append(out, []string{"  " + f.Status, f.Check, detail})
		if f.Next != "" {
			out = append(out, []string{"", "", "-> " + f.Next})
		}
	}
	return out
}

func (all findings) count(status string) (n int) {
	for _, f := range all {
		if f.Status == status {
			n++
		}
	}
	return n
}

func (a *app) doctor() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Say what a client would see, and what is wrong with it", Args: argCount(0, 0, "no arguments"),
		Long: "Go through what a client goes through, step by step: the name, TCP, TLS, Kafka's handshake, authentication, the cluster's metadata, and\n" +
			"then the same for every address that brokers advertise. Look at this machine as well: open files, disk, the cost of an fsync.\n\n" +
			"The exit code is 4 if something failed.",
	}
	data := cmd.Flags().String("data", "", "look at the disk under this data `DIR` (default ./troupe-data, if there is one)")
	return prints(a, cmd, func(ctx context.Context, _ []string) (findings, error) {
		d := &doctor{app: a}
		d.checkMachine(*data)
		if err := d.checkCluster(ctx); err != nil {
			return d.findings, err
		}
		if n := d.findings.count(statusFail); n > 0 {
			return d.findings, &problem{what: count(n, "check") + " failed", exit: exitUnhealthy}
		}
		return d.findings, nil
	})
}

// doctor collects findings.
type doctor struct {
	app      *app
	how      sasl.Mechanism // nil without --user
	findings findings
}

func (d *doctor) note(where, check, status, detail, next string, took time.Duration) {
	d.findings = append(d.findings, finding{where, check, status, detail, float64(took.Microseconds()) / 1000, next})
}

// fail notes what went wrong as explain says it.
func (d *doctor) fail(where, check string, err error) {
	p := explain(&addressError{where, err})
	detail := p.why
	if detail == "" {
		detail = p.what
	}
	d.note(where, check, statusFail, detail, p.next, 0)
}

// checkCluster walks from the bootstrap addresses to every advertised one.
func (d *doctor) checkCluster(ctx context.Context) error {
	seeds, err := d.app.seeds()
	if err != nil {
		return err
	}
	if d.how, err = d.app.mechanism(); err != nil {
		return err
	}
	var first *kmsg.MetadataResponse
	var via string
	seen := map[string]bool{}
	for _, addr := range seeds {
		seen[addr] = true
		meta := d.checkBroker(ctx, addr)
		if first == nil && meta != nil {
			first, via = meta, addr
		}
	}
	if first == nil {
		return nil
	}
	d.describe(via, first)
	for _, b := range first.Brokers {
		addr := net.JoinHostPort(b.Host, decimal(b.Port))
		d.checkAdvertised(via, addr, b.NodeID)
		if seen[addr] {
			continue
		}
		seen[addr] = true
		if meta := d.checkBroker(ctx, addr); meta != nil && clusterID(meta) != clusterID(first) {
			d.note(addr, "cluster", statusFail, "this is cluster "+clusterID(meta)+", not "+clusterID(first), "two brokers advertise the same address, or a port is mapped to the wrong one", 0)
		}
	}
	return nil
}

// checkAdvertised warns of addresses that work here and will not elsewhere.
func (d *doctor) checkAdvertised(via, addr string, node int32) {
	viaHost, _, _ := net.SplitHostPort(via)
	host, _, _ := net.SplitHostPort(addr)
	label := fmt.Sprintf("node %d", node)
	if isLoopback(host) && !isLoopback(viaHost) {
		d.note(via, label, statusFail, "advertises "+addr+", which is every client's own machine", "set advertised.listeners on the broker to an address clients can reach", 0)
		return
	}
	d.note(via, label, statusOK, "advertises "+addr, "", 0)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func clusterID(meta *kmsg.MetadataResponse) string {
	if meta.ClusterID == nil {
		return "(none)"
	}
	return *meta.ClusterID
}

// checkBroker goes through the layers of one address and returns its metadata, or nil if a layer failed.
func (d *doctor) checkBroker(ctx context.Context, addr string) *kmsg.MetadataResponse {
	ctx, cancel := context.WithTimeout(ctx, d.app.timeout)
	defer cancel()
	if !d.checkName(ctx, addr) {
		return nil
	}
	conn, ok := d.checkConnection(ctx, addr)
	if !ok {
		return nil
	}
	defer conn.Close()
	l := newLink(conn)
	if !d.checkHandshake(ctx, addr, l) {
		return nil
	}
	if d.how != nil {
		if err := d.app.loginFailure(l.authenticate(ctx, d.how, addr), addr, d.how); err != nil {
			d.fail(addr, "SASL", err)
			return nil
		}
		d.note(addr, "SASL", statusOK, d.how.Name()+" as "+d.app.sasl.user, "", 0)
	}
	began := time.Now()
	meta, err := l.metadata(ctx)
	if err != nil {
		d.fail(addr, "metadata", err)
		return nil
	}
	d.note(addr, "metadata", statusOK, fmt.Sprintf("%s, %s", count(len(meta.Brokers), "broker"), count(len(meta.Topics), "topic")), "", time.Since(began))
	return meta
}

func (d *doctor) checkName(ctx context.Context, addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		d.fail(addr, "name", err)
		return false
	}
	if net.ParseIP(host) != nil {
		return true
	}
	began := time.Now()
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		d.fail(addr, "name", err)
		return false
	}
	d.note(addr, "name", statusOK, strings.Join(ips, ", "), "", time.Since(began))
	return true
}

func (d *doctor) checkConnection(ctx context.Context, addr string) (net.Conn, bool) {
	check := "TCP"
	if d.app.tls.wanted() {
		check = "TCP and TLS"
	}
	open, err := d.app.tls.dialer(min(dialTimeout, d.app.timeout))
	if err == nil {
		began := time.Now()
		var conn net.Conn
		if conn, err = open(ctx, "tcp", addr); err == nil {
			d.note(addr, check, statusOK, "connected to "+conn.RemoteAddr().String(), "", time.Since(began))
			return conn, true
		}
	}
	d.fail(addr, check, err)
	return nil, false
}

func (d *doctor) checkHandshake(ctx context.Context, addr string, l *link) bool {
	began := time.Now()
	got, err := l.handshake(ctx)
	if err != nil {
		d.fail(addr, "Kafka", err)
		return false
	}
	d.note(addr, "Kafka", statusOK, fmt.Sprintf("%s, %s", count(len(got.ApiKeys), "API"), l.speaks(got)), "", time.Since(began))
	return true
}

// speaks is the version of Kafka whose APIs these are or, of a broker that serves a part of them, the versions that matter most.
func (l *link) speaks(got *kmsg.ApiVersionsResponse) string {
	if guess := kversion.FromApiVersionsResponse(got).VersionGuess(); strings.HasPrefix(guess, "v") || strings.HasPrefix(guess, "at least") {
		return "those of Kafka " + strings.TrimPrefix(guess, "v")
	}
	return fmt.Sprintf("Produce up to version %d, Fetch up to %d", l.versions[int16(kmsg.Produce)], l.versions[int16(kmsg.Fetch)])
}

// describe says what the metadata tells of the cluster's health.
func (d *doctor) describe(via string, meta *kmsg.MetadataResponse) {
	d.note(via, "cluster", statusOK, fmt.Sprintf("id %s, controller is node %d", clusterID(meta), meta.ControllerID), "", 0)
	partitions, leaderless, lagging := 0, 0, 0
	for _, t := range meta.Topics {
		for _, p := range t.Partitions {
			partitions++
			if p.Leader < 0 {
				leaderless++
			}
			if len(p.ISR) < len(p.Replicas) {
				lagging++
			}
		}
	}
	status, detail, next := statusOK, fmt.Sprintf("%d, all led and in sync", partitions), ""
	if lagging > 0 {
		status, detail, next = statusWarn, fmt.Sprintf("%d, %d under-replicated", partitions, lagging), "a broker is down or behind: troupe topic list"
	}
	if leaderless > 0 {
		status, detail, next = statusFail, fmt.Sprintf("%d, %d without a leader", partitions, leaderless), "their brokers are down or their logs offline: troupe topic list"
	}
	d.note(via, "partitions", status, detail, next, 0)
}
