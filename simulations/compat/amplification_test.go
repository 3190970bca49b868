package compat

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/simulations/process"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

const (
	// answerMax is to how many times its size a request may be answered, and workMax how much processor time a KB of it may take, unless such
	// answers have a budget (api.Row.Large).
	answerMax = 1000
	workMax   = 50 * time.Millisecond

	amplifyAddr, amplifyHTTP = "127.0.0.1:20650", "127.0.0.1:20651"
)

// amplified is what a request came to at its worst.
type amplified struct {
	name, shape string
	version     int16
	asked       int
	ratio       float64       // bytes of the answer to bytes of the request
	work        time.Duration // of the broker's processor, for a KB of the request
	large       bool
}

// TestAmplification: every request that is served, in shapes that ask for much, is answered in proportion to its size and does work in
// proportion to it, unless answers of its kind have a budget. The table goes to the test's log; STRANGERS=1 asks a broker with 40,000
// partitions and 2,000 groups, else one with a tenth of that.
func TestAmplification(t *testing.T) {
	topics, groups := 8, 200
	if os.Getenv("STRANGERS") != "" {
		topics, groups = 80, 2000
	}
	b, err := process.Start(process.Troupe(binary, amplifyAddr, amplifyHTTP), filepath.Join(t.TempDir(), "data"), map[string]string{
		"group.initial.rebalance.delay.ms": "0", "auto.create.topics.enable": "false",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Kill()
	fillBroker(t, topics, groups)
	server := api.NewServer(api.Config{})
	var rows []amplified
	for _, served := range mustSend[*kmsg.ApiVersionsResponse](dial(t, amplifyAddr), kmsg.NewPtrApiVersionsRequest()).ApiKeys {
		row := server.Row(served.ApiKey)
		if row == nil {
			t.Fatalf("key %d is served and has no row", served.ApiKey)
		}
		for version := range map[int16]bool{max(served.MinVersion, oldest[served.ApiKey]): true, served.MaxVersion: true} {
			for shape, n := range map[string]int{"nothing named": 0, "one named": 1, "one named often": 500, "many named": -min(500, groups)} {
				req := kmsg.RequestForKey(served.ApiKey)
				if n != 0 {
					name(reflect.ValueOf(req).Elem(), served.ApiKey, n, 0)
				}
				req.SetVersion(version)
				a := amplify(t, b, req)
				a.shape, a.large = shape, row.Large
				rows = append(rows, a)
			}
		}
	}
	slices.SortFunc(rows, func(x, y amplified) int { return cmp.Compare(y.ratio, x.ratio) })
	var table strings.Builder
	shown := map[string]bool{}
	for _, a := range rows {
		if !shown[a.name] {
			shown[a.name] = true
			fmt.Fprintf(&table, "%-28s v%-2d %-16s %7d bytes: x %8.1f, %9.3f ms/KB, budget %v\n", a.name, a.version, a.shape, a.asked, a.ratio, float64(a.work.Microseconds())/1000, a.large)
		}
		if !a.large && (a.ratio > answerMax || a.work > workMax) {
			t.Errorf("%s v%d, %s: %d bytes are answered by %.0f times as many, and a KB takes %v: it needs a budget", a.name, a.version, a.shape, a.asked, a.ratio, a.work)
		}
	}
	t.Logf("the worst of each:\n%s", table.String())
	if len(shown) < 40 {
		t.Errorf("only %d requests were tried", len(shown))
	}
	wantNoPanics(t, amplifyHTTP)
}

// oldest are the versions below which a request is advertised and not served.
var oldest = map[int16]int16{0: 3}

// changes are requests that would take away what the others ask for: they name what is not there.
var changes = map[int16]bool{20: true, 21: true, 32 + 1: true, 42: true, 44: true, 47: true, 13: true, 27: true, 51: true, 49: true}

// fillBroker makes topics with 500 partitions each, and groups with positions in all of the first.
func fillBroker(t *testing.T, topics, groups int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(amplifyAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for i := range topics {
		if _, err := admin.CreateTopic(ctx, 500, 1, nil, nameOf("t", i)); err != nil {
			t.Fatal(err)
		}
	}
	offsets := kadm.Offsets{}
	for p := range int32(500) {
		offsets.AddOffset(nameOf("t", 0), p, 1, -1)
	}
	for i := range groups {
		if i > 0 {
			offsets = kadm.Offsets{}
			offsets.AddOffset(nameOf("t", 0), int32(i%500), 1, -1)
		}
		if _, err := admin.CommitOffsets(ctx, nameOf("g", i), offsets); err != nil {
			t.Fatal(err)
		}
	}
}

func nameOf(kind string, i int) string {
	if i == 0 {
		return kind
	}
	return fmt.Sprint(kind, i)
}

// name fills the arrays of a request: with n elements that are all the same, or with -n different ones.
func name(v reflect.Value, key int16, n, index int) {
	for i := range v.NumField() {
		f, field := v.Field(i), v.Type().Field(i).Name
		switch {
		case f.Type() == reflect.TypeFor[kmsg.Tags]() || !f.CanSet() || field == "ConfigNames": // without names: all of them
		case f.Kind() == reflect.Bool:
			f.SetBool(!strings.Contains(field, "Validate"))
		case field == "ResourceType" || field == "Type" && f.Kind() == reflect.Int8:
			f.SetInt(int64(kmsg.ConfigResourceTypeTopic))
		case f.Kind() == reflect.Int32 && field == "Partition":
			f.SetInt(int64(index % 500))
		case f.Kind() == reflect.String:
			f.SetString(named(field, key, index))
		case f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.String:
			f.Set(reflect.New(f.Type().Elem()))
			f.Elem().SetString(named(field, key, index))
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() != reflect.Uint8:
			count := max(n, -n)
			f.Set(reflect.MakeSlice(f.Type(), count, count))
			for j := range count {
				at := 0
				if n < 0 {
					at = j
				}
				switch e := f.Index(j); e.Kind() {
				case reflect.Struct:
					name(e, key, 1, at)
				case reflect.String:
					e.SetString(named(field, key, at))
				case reflect.Int32:
					e.SetInt(int64(at % 500))
				}
			}
		}
	}
}

// named is the name that a field of a request is to have.
func named(field string, key int16, index int) string {
	switch {
	case changes[key]:
		return nameOf("x", index)
	case strings.Contains(field, "Group"), key == 15, key == 69, key == 10:
		return nameOf("g", index)
	}
	return nameOf("t", index%8)
}

// amplify sends a request some times and returns what it came to.
func amplify(t *testing.T, b *process.Broker, req kmsg.Request) amplified {
	t.Helper()
	frame, times := []byte(nil), 5
	if os.Getenv("STRANGERS") != "" {
		times = 20
	}
	if p, ok := req.(*kmsg.ProduceRequest); ok {
		p.Acks = 1 // 0 is answered by silence
	}
	frame = frameOf(req)
	a := amplified{name: kmsg.NameForKey(req.Key()), version: req.GetVersion(), asked: len(frame)}
	before, rounds, got := b.CPU(), 0, 0
	for began := time.Now(); rounds < times && time.Since(began) < 500*time.Millisecond; rounds++ {
		p := dial(t, amplifyAddr)
		p.write(frame)
		body, _ := p.answer() // what is not to be understood ends the connection
		got += len(body)
		p.nc.Close()
	}
	a.ratio = float64(got) / float64(rounds*len(frame))
	a.work = time.Duration(float64(b.CPU()-before) / float64(rounds) * 1024 / max(1024, float64(len(frame))))
	return a
}
