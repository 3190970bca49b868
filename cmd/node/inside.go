package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/transport/httpd"
)

// diskFloor is the free space under which a node is not ready: the next segment may not fit.
const diskFloor = 64 << 20 // bytes

// conditions are what readiness consists of.
func (n *Node) conditions() []httpd.Condition {
	return []httpd.Condition{
		{Name: "metadata-and-logs", Check: n.check},
		{Name: "kafka-listeners", Check: func() error {
			if !n.serving.Load() {
				return errors.New("closed")
			}
			return nil
		}},
		{Name: "disk-space", Check: n.checkSpace},
		{Name: "partitions", Check: n.checkPartitions, Degrades: true},
	}
}

// checkPartitions names partitions whose logs are offline, or how many there are.
func (n *Node) checkPartitions() error {
	var shown []string
	count := 0
	n.table.Each(func(h *partition.Handle) bool {
		if v := h.View(); v.Err == protocol.KafkaStorageError {
			if count++; count <= offlineNamed {
				shown = append(shown, fmt.Sprintf("%s-%d: %s", h.TopicName, h.Partition.Partition, v.Reason))
			}
		}
		return true
	})
	if count == 0 {
		return nil
	}
	return fmt.Errorf("%d offline: %s", count, strings.Join(shown, "; "))
}

func (n *Node) checkSpace() error {
	for _, d := range n.dirs {
		free, _, err := d.fs.Space()
		if err != nil {
			return err
		}
		if free < diskFloor {
			return fmt.Errorf("%d MiB free under %s", free>>20, d.path)
		}
	}
	return nil
}

func (n *Node) sources() httpd.Sources {
	s := httpd.Sources{Version: n.config.Version, NodeID: n.settings.NodeID, Actors: func() actors.Stats { return n.system.Stats() }, Table: n.table, Kafka: &n.server.Metrics}
	s.Groups = &n.gauges
	s.Lags = func(ctx context.Context, limit int) ([]group.Lag, int) {
		return n.groups.Lags(ctx, n.table, n.env.Clock.Now(), limit)
	}
	for _, d := range n.logDirs() {
		s.Disks = append(s.Disks, httpd.Disk{Dir: d.path, Space: d.fs.Space})
	}
	return s
}

// insides is what /debug/node shows.
type insides struct {
	Version    string   `json:"version"`
	Cluster    string   `json:"cluster_id"`
	Node       int32    `json:"node_id"`
	Uptime     string   `json:"uptime"`
	Ready      string   `json:"ready"` // "yes", or why not
	Kafka      []string `json:"kafka"`
	Dirs       []string `json:"log_dirs"`
	Topics     int      `json:"topics"`
	Metadata   int64    `json:"metadata_offset"`
	Partitions int      `json:"partitions"`
	Offline    []string `json:"partitions_offline"` // with the reason; at most offlineShown

	Connections int64  `json:"connections"`
	Actors      int    `json:"actors"`
	Processed   uint64 `json:"messages_processed"`
	DeadLetters uint64 `json:"dead_letters"`
	Failures    uint64 `json:"failures"`
	Goroutines  int    `json:"goroutines"`
	HeapBytes   uint64 `json:"heap_bytes"`
}

// offlineShown bounds the list of offline partitions, offlineNamed those that readiness names.
const (
	offlineShown = 100
	offlineNamed = 3
)

func (n *Node) describe() insides {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	img, stats := n.images.Load(), n.system.Stats()
	in := insides{
		Version: n.config.Version, Cluster: n.id.cluster, Node: int32(n.settings.NodeID), Uptime: (n.env.Clock.Mono() - n.began).Round(time.Second).String(),
		Ready: "yes", Kafka: n.KafkaAddresses(), Metadata: img.MetadataOffset, Partitions: n.table.Len(), Offline: []string{},
		Connections: n.server.Metrics.Connections.Load(), Actors: stats.Actors, Processed: stats.Processed, DeadLetters: stats.DeadLetters, Failures: stats.Failures,
		Goroutines: runtime.NumGoroutine(), HeapBytes: mem.HeapAlloc,
	}
	if err := n.check(); err != nil {
		in.Ready = err.Error()
	}
	for _, d := range n.dirs {
		in.Dirs = append(in.Dirs, d.path)
	}
	in.Topics = img.NumTopics()
	n.table.Each(func(h *partition.Handle) bool {
		if v := h.View(); v.Err != protocol.None {
			in.Offline = append(in.Offline, fmt.Sprintf("%s-%d: %s", h.TopicName, h.Partition.Partition, v.Reason))
		}
		return len(in.Offline) < offlineShown
	})
	return in
}
