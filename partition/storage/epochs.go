package storage

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Epoch is where a leader epoch begins in a log.
type Epoch struct {
	Epoch       int32
	StartOffset int64
}

// Epochs is the history of leader epochs of one log, oldest first. It is immutable: changes return a new value.
//
// Invariant: Epoch and StartOffset both increase strictly. Source: LeaderEpochFileCache, KIP-101.
type Epochs struct{ list []Epoch }

// NoEpoch and NoOffset are Kafka's UNDEFINED_EPOCH and UNDEFINED_EPOCH_OFFSET.
const (
	NoEpoch  int32 = -1
	NoOffset int64 = -1
)

// Last is the newest epoch, or NoEpoch.
func (e Epochs) Last() int32 {
	if len(e.list) == 0 {
		return NoEpoch
	}
	return e.list[len(e.list)-1].Epoch
}

// All lists the epochs, oldest first. The caller must not change it.
func (e Epochs) All() []Epoch { return e.list }

// At is the epoch that offset was appended in, or NoEpoch.
func (e Epochs) At(offset int64) int32 {
	n := sort.Search(len(e.list), func(i int) bool { return e.list[i].StartOffset > offset })
	if n == 0 {
		return NoEpoch
	}
	return e.list[n-1].Epoch
}

// End answers OffsetForLeaderEpoch: the largest epoch that is at most the asked one, and the offset at which it ends. An epoch
// before the first one known ends where that begins, as its data is gone; an unknown later one gives (NoEpoch, NoOffset).
// Source: LeaderEpochFileCache.endOffsetFor.
func (e Epochs) End(epoch int32, logEnd int64) (int32, int64) {
	if epoch == NoEpoch || len(e.list) == 0 {
		return NoEpoch, NoOffset
	}
	if epoch == e.Last() {
		return epoch, logEnd
	}
	higher := sort.Search(len(e.list), func(i int) bool { return e.list[i].Epoch > epoch })
	switch higher {
	case len(e.list):
		return NoEpoch, NoOffset
	case 0:
		return epoch, e.list[0].StartOffset
	}
	return e.list[higher-1].Epoch, e.list[higher].StartOffset
}

// assign adds an epoch. Entries that contradict it, being newer or starting at or after it, go; ok is false if it says nothing new.
// Source: LeaderEpochFileCache.assign.
func (e Epochs) assign(epoch int32, start int64) (_ Epochs, ok bool) {
	if epoch < 0 || start < 0 {
		return e, false
	}
	if n := len(e.list); n > 0 && e.list[n-1].Epoch == epoch && start >= e.list[n-1].StartOffset {
		return e, false
	}
	n := len(e.list)
	for n > 0 && (e.list[n-1].Epoch >= epoch || e.list[n-1].StartOffset >= start) {
		n--
	}
	return Epochs{append(e.list[:n:n], Epoch{epoch, start})}, true
}

// before keeps the epochs that start below end. Source: LeaderEpochFileCache.truncateFromEnd.
func (e Epochs) before(end int64) Epochs {
	n := sort.Search(len(e.list), func(i int) bool { return e.list[i].StartOffset >= end })
	return Epochs{e.list[:n:n]}
}

// from forgets the epochs that ended at or below start; the one start lies in begins there from now on.
// Source: LeaderEpochFileCache.truncateFromStart.
func (e Epochs) from(start int64) Epochs {
	n := sort.Search(len(e.list), func(i int) bool { return e.list[i].StartOffset > start })
	if n == 0 || (n == 1 && e.list[0].StartOffset == start) {
		return e
	}
	list := append([]Epoch{{e.list[n-1].Epoch, start}}, e.list[n:]...)
	return Epochs{list}
}

// encode is Kafka's LeaderEpochCheckpointFile: a version, the number of entries, an entry a line.
func (e Epochs) encode() []byte {
	b := []byte("0\n")
	b = strconv.AppendInt(b, int64(len(e.list)), 10)
	b = append(b, '\n')
	for _, entry := range e.list {
		b = strconv.AppendInt(b, int64(entry.Epoch), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, entry.StartOffset, 10)
		b = append(b, '\n')
	}
	return b
}

// parseEpochs reads what encode writes. An error if it does not hold together; nothing of it is used then.
func parseEpochs(b []byte) (Epochs, error) {
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" {
		return Epochs{}, errors.New("version is not 0")
	}
	if n, err := strconv.Atoi(lines[1]); err != nil || n != len(lines)-2 {
		return Epochs{}, fmt.Errorf("%d entries where %q are announced", len(lines)-2, lines[1])
	}
	var e Epochs
	for _, line := range lines[2:] {
		first, second, ok := strings.Cut(line, " ")
		epoch, err1 := strconv.ParseInt(first, 10, 32)
		start, err2 := strconv.ParseInt(second, 10, 64)
		if !ok || err1 != nil || err2 != nil || epoch < 0 || start < 0 {
			return Epochs{}, fmt.Errorf("entry %q", line)
		}
		if n := len(e.list); n > 0 && (int32(epoch) <= e.list[n-1].Epoch || start <= e.list[n-1].StartOffset) {
			return Epochs{}, fmt.Errorf("entry %q does not increase", line)
		}
		e.list = append(e.list, Epoch{int32(epoch), start})
	}
	return e, nil
}

// readEpochs reads the checkpoint of the log in dir; fs.ErrNotExist if there is none.
func readEpochs(l *Log) (Epochs, error) {
	name := l.dir + "/" + epochsName
	b, err := ReadFile(l.files.fs, name)
	if err != nil {
		return Epochs{}, err
	}
	e, err := parseEpochs(b)
	if err != nil {
		return Epochs{}, &Corruption{File: name, Offset: -1, Reason: err.Error()}
	}
	return e, nil
}

// Epochs is the leader epoch history as of now.
func (l *Log) Epochs() Epochs { return l.epochs }

// LastEpoch is the newest leader epoch in the log, or NoEpoch.
func (l *Log) LastEpoch() int32 { return l.epochs.Last() }

// EpochEnd is Epochs.End with this log's end.
func (l *Log) EpochEnd(epoch int32) (int32, int64) { return l.epochs.End(epoch, l.end) }

// AssignEpoch notes that epoch begins at startOffset. Append does it by itself for epochs in batches; a new leader calls it before
// its first append. It becomes durable with the next flush, before any append that depends on it is acknowledged; SyncEpochs
// makes it so at once. An epoch in which nothing was ever appended may be forgotten by a crash: it says nothing about any record.
func (l *Log) AssignEpoch(epoch int32, startOffset int64) { l.assignEpoch(epoch, startOffset) }

func (l *Log) assignEpoch(epoch int32, startOffset int64) {
	if e, ok := l.epochs.assign(epoch, startOffset); ok {
		l.setEpochs(e)
	}
}

func (l *Log) setEpochs(e Epochs) {
	l.epochs = e
	l.epochsVersion++
	l.view = nil
}

// SyncEpochs writes the epoch checkpoint if it changed and makes it durable. Blocks.
func (l *Log) SyncEpochs() error {
	if l.failure != nil {
		return l.failure
	}
	_, err := l.writeEpochs(l.epochs, l.epochsVersion)
	if err != nil && !errors.Is(err, ErrRefused) {
		return l.goOffline(err)
	}
	return err
}

// epochsPending reports that the file does not have the epochs of the records in the log.
func (l *Log) epochsPending() bool {
	if l.segments() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epochsWritten < l.epochsVersion
}

// writeEpochs replaces the file unless it holds that version or a newer one; written says whether it did. Any goroutine.
func (sh *shared) writeEpochs(e Epochs, version uint64) (written bool, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.epochsWritten >= version || sh.deleted.Load() {
		return false, nil
	}
	if err := ReplaceFile(sh.files.fs, sh.dir, epochsName, e.encode()); err != nil {
		return false, err
	}
	sh.epochsWritten = version
	return true, nil
}

// forgetEpochs removes the file, which takes no space; durable with the next sync of the directory.
func (l *Log) forgetEpochs() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochsWritten = l.epochsVersion
	return l.remove(epochsName)
}

// findLostEpochs completes the epochs backwards to the log start. Those of dropped segments are forgotten before the files are removed,
// and a crash in between brings the files back.
func (r *recovery) findLostEpochs() error {
	known, until := r.epochs, r.end
	if len(known.list) > 0 {
		until = known.list[0].StartOffset
	}
	if until <= r.start || r.report.Clean {
		return nil
	}
	var found Epochs
	for _, s := range r.all() {
		if s.base >= until {
			break
		}
		if err := s.collectEpochs(&found, until); err != nil {
			return err
		}
		if len(found.list) == 0 && s.size > 0 {
			return nil // batches from before leader epochs
		}
	}
	for _, e := range known.list {
		found, _ = found.assign(e.Epoch, e.StartOffset)
	}
	r.epochs = found
	return nil
}

// collectEpochs adds the epochs of the batches of s below end; none if the first one has none.
func (s *segment) collectEpochs(found *Epochs, end int64) error {
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	w := walkHeaders(f, 0, s.size)
	defer w.close()
	for !w.done() {
		h, size, err := w.header(s.base)
		if err != nil {
			return s.corrupt(err, s.base)
		}
		if h.BaseOffset() >= end || h.LeaderEpoch() < 0 && len(found.list) == 0 {
			break
		}
		*found, _ = found.assign(h.LeaderEpoch(), h.BaseOffset())
		w.pos += size
	}
	return nil
}
