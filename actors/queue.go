package actors

import "sync"

// chunkMessages makes a chunk fill a 512-byte allocation.
const chunkMessages = 30

// chunk is a piece of a queue. Chunks come from a pool and go back when they are read, so an idle mailbox holds none.
type chunk struct {
	next    *chunk
	bytes   int   // weight of the messages ever pushed
	r, w    uint8 // read, written. Invariant: settled <= r <= w
	settled uint8 // of the read ones, those taken off the mailbox's count
	msgs    [chunkMessages]any
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// free gives a chunk back. Only unread messages still hold references.
func (c *chunk) free() {
	clear(c.msgs[c.r:c.w])
	c.next, c.bytes, c.r, c.w, c.settled = nil, 0, 0, 0, 0
	chunks.Put(c)
}

// pop takes the next message; nil if the chunk is read. Messages are never nil.
func (c *chunk) pop() any {
	if c.r == c.w {
		return nil
	}
	msg := c.msgs[c.r]
	c.msgs[c.r] = nil
	c.r++
	return msg
}

// queue is a FIFO of messages, guarded by its owner. The zero value is empty.
type queue struct{ head, tail *chunk }

func (q *queue) empty() bool { return q.head == nil }

func (q *queue) push(msg any, bytes int) {
	t := q.tail
	if t == nil || t.w == chunkMessages {
		fresh := chunks.Get().(*chunk)
		if t == nil {
			q.head = fresh
		} else {
			t.next = fresh
		}
		q.tail, t = fresh, fresh
	}
	t.msgs[t.w] = msg
	t.w++
	t.bytes += bytes
}

// detach takes the first chunk off the queue, nil if it is empty.
func (q *queue) detach() *chunk {
	c := q.head
	if c == nil {
		return nil
	}
	q.head, c.next = c.next, nil
	if q.head == nil {
		q.tail = nil
	}
	return c
}

// pop takes the first message, nil if the queue is empty.
func (q *queue) pop() any {
	if q.head == nil {
		return nil
	}
	msg := q.head.pop()
	if q.head.r == q.head.w {
		q.detach().free()
	}
	return msg
}
