package record

import "fmt"

// EachTime calls f with the offset and the timestamp of every record in order, and stops at its first error, which it returns. Unlike Each
// it holds no more of a compressed batch than a window, whatever it unpacks to. ErrCorrupt if the records cannot be read (those before the
// damage were handed out then); ErrStopped of u.Meter. The batch's CRC is not checked: see Verify.
func (b Batch) EachTime(u Unpacking, f func(offset, timestamp int64) error) error {
	if len(b) < HeaderSize {
		return ErrShort
	}
	e := timeReader{base: b.BaseOffset(), baseTimestamp: b.BaseTimestamp(), f: f}
	if b.IsLogAppendTime() {
		e.appendTime = b.MaxTimestamp()
		e.appended = true
	}
	if b.Codec() == None {
		return e.plain(b.Payload(), b.NumRecords())
	}
	in, err := openInflow(b, u, DecompressedMax)
	if err != nil {
		return err
	}
	defer in.close()
	return e.stream(in, b.NumRecords())
}

// timeReader hands out what EachTime is about.
type timeReader struct {
	base, baseTimestamp int64
	appended            bool
	appendTime          int64 // if appended
	f                   func(offset, timestamp int64) error
	fields              fields
}

func (e *timeReader) visit() error {
	timestamp := e.baseTimestamp + e.fields.timestampDelta
	if e.appended {
		timestamp = e.appendTime
	}
	return e.f(e.base+int64(e.fields.offsetDelta), timestamp)
}

func (e *timeReader) plain(p []byte, count int32) error {
	for i := range count {
		body, rest, reason := nextRecord(p)
		if reason == "" {
			reason = e.fields.read(body)
		}
		if reason != "" {
			return fmt.Errorf("%w: record %d: %s", ErrCorrupt, i, reason)
		}
		if err := e.visit(); err != nil {
			return err
		}
		p = rest
	}
	if len(p) != 0 {
		return fmt.Errorf("%w: %d bytes after the last record", ErrCorrupt, len(p))
	}
	return nil
}

func (e *timeReader) stream(in *inflow, count int32) error {
	for i := range count {
		if reason := in.next(&e.fields); reason != "" {
			if err := in.failure(); err != nil {
				return err
			}
			return fmt.Errorf("%w: record %d: %s", ErrCorrupt, i, reason)
		}
		if err := e.visit(); err != nil {
			return err
		}
	}
	in.fill(1)
	if in.at < in.end {
		return fmt.Errorf("%w: bytes after the last record", ErrCorrupt)
	}
	return in.failure()
}
