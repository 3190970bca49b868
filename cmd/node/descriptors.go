package node

import (
	"syscall"

	"github.com/troupe-broker/troupe/partition/storage"
)

const (
	// descriptorsDefault is what a process may have open where the system does not tell.
	descriptorsDefault = 1024
	// descriptorsOwn are kept for what is neither a connection of a Kafka client nor a segment of a log: metadata, journals, checkpoints and
	// indexes while they are written, and HTTP, by which an operator looks in.
	descriptorsOwn = 512
	// connectionsMax bounds connections where descriptors would allow more.
	connectionsMax = 100_000
)

// descriptors is how the descriptors of the process are shared out. Connections of clients never take those of the logs: a log that
// cannot open a file refuses what it is asked.
type descriptors struct {
	connections int
	openFiles   int // segments of one log directory
}

// shareDescriptors shares out limit descriptors, with dirs log directories: a quarter at most goes to segments. 0 is no limit.
func shareDescriptors(limit, dirs int) descriptors {
	if limit == 0 {
		return descriptors{connections: connectionsMax, openFiles: storage.DefaultOpenFiles}
	}
	own := min(descriptorsOwn, limit/4)
	files := min(storage.DefaultOpenFiles, max(limit/4/max(dirs, 1), 1))
	return descriptors{connections: max(1, min(limit-own-files*dirs, connectionsMax)), openFiles: files}
}

// descriptorLimit is how many files and sockets the process may have open. Go has raised the soft limit to the hard one.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return descriptorsDefault
	}
	return int(min(limit.Cur, 1<<30))
}
