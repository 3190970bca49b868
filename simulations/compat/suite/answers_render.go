package main

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/record"
)

// leaf is one value of an answer, or the order of a list. Rows of lists are named in the path by what they are about.
type leaf struct{ path, value string }

// names makes alike what two brokers cannot have in common: addresses, directories, ids they made up, times.
type names struct {
	side      *side
	ids       map[[16]byte]string
	uuids     []string
	producers map[int64]string
	epochs    []int64 // of a consumer group and its members: how far one change takes them is the coordinator's own affair
	quorum    bool    // the answer is about the metadata log, which has its own length on either side
}

func newNames(s *side) *names {
	return &names{side: s, ids: map[[16]byte]string{}, producers: map[int64]string{}}
}

// know gives an id a name.
func (n *names) know(id [16]byte, name string) { n.ids[id] = "<id of " + name + ">" }

// uuidText is an id that somebody made up, in one of the ways to write it; the second stands alone.
var uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|^[A-Za-z0-9_-]{22}$`)

// timeText is a time in milliseconds within a text.
var timeText = regexp.MustCompile(`-?\b\d{13,19}\b`)

// text is a string of an answer, made alike.
func (n *names) text(s string) string {
	host, port, _ := strings.Cut(n.side.target.addr, ":")
	s = strings.ReplaceAll(s, host+":"+port, "<address>")
	s = strings.ReplaceAll(s, n.side.target.data, "<directory>")
	if n.side.cluster != "" {
		s = strings.ReplaceAll(s, n.side.cluster, "<cluster>")
	}
	for id, name := range n.ids {
		s = strings.ReplaceAll(s, base64.RawURLEncoding.EncodeToString(id[:]), name)
	}
	s = timeText.ReplaceAllString(s, "<time>")
	return uuidText.ReplaceAllStringFunc(s, func(u string) string {
		if strings.Count(u, "-") != 4 && !mixed(u) {
			return u
		}
		i := slices.Index(n.uuids, u)
		if i < 0 {
			i, n.uuids = len(n.uuids), append(n.uuids, u)
		}
		return fmt.Sprintf("<uuid %d>", i+1)
	})
}

// mixed reports whether a word of 22 letters looks as if nobody had chosen it.
func mixed(word string) bool {
	return strings.ToLower(word) != word && strings.ToUpper(word) != word && strings.ContainsAny(word, "0123456789")
}

// render are the values of an answer in the order of its fields.
func (n *names) render(resp kmsg.Response) (out []leaf) {
	_, n.quorum = resp.(*kmsg.DescribeQuorumResponse)
	n.walk(reflect.ValueOf(resp).Elem(), "", &out)
	return out
}

// unseen are fields that say nothing of the answer.
var unseen = []string{"Version", "ThrottleMillis", "UnknownTags", "FinalizedFeaturesEpoch"}

func (n *names) walk(v reflect.Value, path string, out *[]leaf) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; !slices.Contains(unseen, name) {
				n.walk(v.Field(i), strings.TrimPrefix(path+"."+name, "."), out)
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			*out = append(*out, leaf{path, "null"})
			return
		}
		n.walk(v.Elem(), path, out)
	case reflect.Slice:
		n.list(v, path, out)
	default:
		*out = append(*out, leaf{path, n.value(v, path)})
	}
}

func (n *names) list(v reflect.Value, path string, out *[]leaf) {
	switch {
	case v.IsNil():
		*out = append(*out, leaf{path, "null"})
	case strings.HasSuffix(path, "RecordBatches"):
		*out = append(*out, leaf{path, batches(v.Bytes())})
	case v.Type().Elem().Kind() == reflect.Uint8:
		*out = append(*out, leaf{path, fmt.Sprintf("%x", v.Bytes())})
	case v.Type().Elem().Kind() != reflect.Struct:
		var all []string
		for i := range v.Len() {
			all = append(all, n.value(v.Index(i), path))
		}
		*out = append(*out, leaf{path, "[" + strings.Join(all, " ") + "]"})
	default:
		var rows []string
		for i := range v.Len() {
			rows = append(rows, n.label(v.Index(i), rows))
		}
		if len(rows) == 0 {
			*out = append(*out, leaf{path, "[]"})
			return
		}
		*out = append(*out, leaf{path + orderOf, strings.Join(rows, ", ")})
		for i, row := range rows {
			*out = append(*out, leaf{path + "[" + row + "]", aRow})
			n.walk(v.Index(i), path+"["+row+"]", out)
		}
	}
}

// batches are those of an answer to a fetch. Of one that a broker wrote, a marker, only what says nothing of the time.
func batches(in []byte) string {
	var out []string
	for len(in) >= record.HeaderSize {
		b := record.Batch(in)
		if b.Length() > len(in) {
			break
		}
		b, in = b[:b.Length()], in[b.Length():]
		if commit, _, marker := b.Marker(); marker {
			out = append(out, fmt.Sprintf("marker at %d, commits %v", b.BaseOffset(), commit))
		} else {
			out = append(out, fmt.Sprintf("%x at %d, epoch %d", b[record.HeaderSize:], b.BaseOffset(), b.LeaderEpoch()))
		}
	}
	return strings.Join(append(out, fmt.Sprintf("%d bytes more", len(in))), ", ")
}

// orderOf ends the path of the order of a list, and aRow is the value at the path of one of its rows.
const orderOf, aRow = " order", "a row"

// labels are the fields that say what a row is about.
var labels = strings.Fields(`Topic TopicID Name ResourceType ResourceName ConfigName Group GroupID MemberID InstanceID Partition ApiKey TransactionalID ProducerID
	User Mechanism Dir Key NodeID Type EntityType CoordinatorKey LogDir ReplicaID Protocol`)

// label is what a row is about, unlike those before it.
func (n *names) label(row reflect.Value, before []string) string {
	var words []string
	n.introduce(row)
	for i := range row.NumField() {
		f, name := row.Field(i), row.Type().Field(i).Name
		if !slices.Contains(labels, name) || name == "ProducerID" && len(words) > 0 {
			continue
		}
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				continue
			}
			f = f.Elem()
		}
		if f.IsZero() && f.Kind() != reflect.Int32 || f.Kind() == reflect.Slice || f.Kind() == reflect.Struct {
			continue
		}
		words = append(words, n.value(f, name))
	}
	label := strings.Join(words, "/")
	for again := 2; slices.Contains(before, label); again++ {
		label = fmt.Sprintf("%s #%d", strings.Join(words, "/"), again)
	}
	return label
}

// introduce learns from a row with a name and an id which belongs to which.
func (n *names) introduce(row reflect.Value) {
	text := func(field string) string {
		f := row.FieldByName(field)
		if f.IsValid() && f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		if !f.IsValid() {
			return ""
		}
		return f.String()
	}
	if id := row.FieldByName("TopicID"); id.IsValid() && !id.IsZero() && text("Topic") != "" {
		n.know(id.Interface().([16]byte), text("Topic"))
	}
	if id := row.FieldByName("ProducerID"); id.IsValid() && id.Int() >= 0 && text("TransactionalID") != "" {
		n.producers[id.Int()] = "<producer of " + text("TransactionalID") + ">"
	}
}

// value is one value, made alike.
func (n *names) value(v reflect.Value, path string) string {
	field := path[strings.LastIndexByte(path, '.')+1:]
	switch v.Kind() {
	case reflect.String:
		return n.text(v.String())
	case reflect.Array:
		return n.id(v.Interface().([16]byte))
	case reflect.Int64:
		return n.number(v.Int(), field)
	case reflect.Int32:
		if port := fmt.Sprint(v.Int()); field == "Port" && strings.HasSuffix(n.side.target.addr, ":"+port) {
			return "<port>"
		}
		if slices.Contains(groupEpochs, field) && v.Int() > 0 {
			return n.groupEpoch(v.Int())
		}
		if field == "LeaderEpoch" && n.quorum {
			return "<epoch>"
		}
		if field == "SessionID" && v.Int() > 0 {
			return "<session>"
		}
	}
	return fmt.Sprint(v.Interface())
}

// groupEpochs are the fields with epochs of a consumer group.
var groupEpochs = []string{"MemberEpoch", "Epoch", "AssignmentEpoch"}

func (n *names) groupEpoch(epoch int64) string {
	i := slices.Index(n.epochs, epoch)
	if i < 0 {
		i, n.epochs = len(n.epochs), append(n.epochs, epoch)
	}
	return fmt.Sprintf("<epoch %d>", i+1)
}

func (n *names) id(id [16]byte) string {
	if id == [16]byte{} {
		return "0"
	}
	if n.ids[id] == "" {
		n.ids[id] = fmt.Sprintf("<id %d>", len(n.ids)+1)
	}
	return n.ids[id]
}

// number is that of an id of a producer, a time of these days, a size of the disk, or just a number.
func (n *names) number(v int64, field string) string {
	now := time.Now().UnixMilli()
	switch day := int64(24 * 3600 * 1000); {
	case v > now-day && v < now+day:
		return "<now>"
	case n.quorum && v >= 0 && (field == "HighWatermark" || field == "LogEndOffset"):
		return "<offset>"
	case (field == "TotalBytes" || field == "UsableBytes") && v > 0:
		return "<bytes>"
	case field == "ProducerID" && v >= 0:
		if n.producers[v] == "" {
			n.producers[v] = fmt.Sprintf("<producer %d>", len(n.producers)+1)
		}
		return n.producers[v]
	}
	return fmt.Sprint(v)
}

// difference is a value that two answers do not have in common.
type difference struct {
	path         string // REQUEST, or REQUEST#2 for the second such answer, and the field
	ours, theirs string
}

func (d difference) String() string {
	return fmt.Sprintf("%s is %s, Kafka's %s", d.path, shortened(d.ours), shortened(d.theirs))
}

// shortened keeps a long value readable.
func shortened(s string) string {
	if s == absent {
		return s
	}
	if len(s) > 300 {
		s = s[:300] + "..."
	}
	return fmt.Sprintf("%q", s)
}

// absent stands for a value that an answer does not have.
const absent = "absent"

// differ are the differences of two runs of one question.
func differ(ours, theirs []said) (out []difference) {
	count := map[string]int{}
	for i := range max(len(ours), len(theirs)) {
		if i >= len(ours) || i >= len(theirs) || ours[i].what != theirs[i].what {
			return append(out, difference{"answers", whats(ours), whats(theirs)})
		}
		what := ours[i].what
		if count[what]++; count[what] > 1 {
			what = fmt.Sprintf("%s#%d", what, count[what])
		}
		out = append(out, differIn(what, ours[i].leaves, theirs[i].leaves)...)
	}
	return out
}

func whats(all []said) string {
	var out []string
	for _, s := range all {
		out = append(out, s.what)
	}
	return strings.Join(out, ", ")
}

func differIn(what string, ours, theirs []leaf) (out []difference) {
	other := map[string]string{}
	for _, l := range theirs {
		other[l.path] = l.value
	}
	gone := "" // the path of a row that one answer does not have: what is below it is not told
	for _, l := range ours {
		v, ok := other[l.path]
		delete(other, l.path)
		switch below := gone != "" && strings.HasPrefix(l.path, gone); {
		case below || v == l.value || strings.HasSuffix(l.path, orderOf) && (!ok || !sameRows(l.value, v)):
		case ok:
			out = append(out, difference{what + " " + l.path, l.value, v})
		default:
			out = append(out, difference{what + " " + l.path, l.value, absent})
			gone = rowOf(l)
		}
	}
	gone = ""
	for _, l := range theirs {
		v, left := other[l.path]
		if !left || strings.HasSuffix(l.path, orderOf) || gone != "" && strings.HasPrefix(l.path, gone) {
			continue
		}
		out = append(out, difference{what + " " + l.path, absent, v})
		gone = rowOf(l)
	}
	return out
}

// rowOf is the path of a row, or nothing if the leaf is none.
func rowOf(l leaf) string {
	if l.value != aRow {
		return ""
	}
	return l.path
}

// sameRows reports whether two orders are of the same rows.
func sameRows(a, b string) bool {
	sorted := func(s string) []string { return slices.Sorted(slices.Values(strings.Split(s, ", "))) }
	return slices.Equal(sorted(a), sorted(b))
}
