package workload

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// filter leaves out of one answer what an application does not get: markers, and for read_committed the records of aborted transactions.
// It does what Kafka's clients do with the list of those. Source: CompletedFetch.
type filter struct {
	list   []kmsg.FetchResponseTopicPartitionAbortedTransaction // to come, by first offset
	open   []int64                                              // producers whose records are aborted ones, up to their marker
	on     bool
	hidden int
}

func newFilter(part *kmsg.FetchResponseTopicPartition, committed bool) *filter {
	f := &filter{on: committed, list: slices.Clone(part.AbortedTransactions)}
	slices.SortStableFunc(f.list, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	return f
}

// shows tells whether the application gets the next record.
func (f *filter) shows(r fetched) bool {
	for len(f.list) > 0 && f.list[0].FirstOffset <= r.Offset {
		f.open = append(f.open, f.list[0].ProducerID)
		f.list = f.list[1:]
	}
	if r.marker {
		if r.abort {
			f.open = slices.DeleteFunc(f.open, func(id int64) bool { return id == r.pid })
		}
		return false
	}
	if f.on && r.transactional && slices.Contains(f.open, r.pid) {
		f.hidden++
		return false
	}
	return true
}
