package sim

// heap is a binary heap of events by time, then tie. It is written out because container/heap's interface calls were a tenth of a run.
type heap struct{ events []*Event }

func (h *heap) less(i, j int) bool {
	a, b := h.events[i], h.events[j]
	return a.at < b.at || a.at == b.at && a.tie < b.tie
}

func (h *heap) swap(i, j int) {
	h.events[i], h.events[j] = h.events[j], h.events[i]
	h.events[i].index, h.events[j].index = i, j
}

func (h *heap) push(e *Event) {
	e.index = len(h.events)
	h.events = append(h.events, e)
	h.up(e.index)
}

func (h *heap) peek() *Event {
	if len(h.events) == 0 {
		return nil
	}
	return h.events[0]
}

func (h *heap) pop() *Event {
	e := h.peek()
	if e != nil {
		h.remove(e)
	}
	return e
}

func (h *heap) remove(e *Event) {
	i, last := e.index, len(h.events)-1
	h.swap(i, last)
	h.events[last] = nil
	h.events = h.events[:last]
	if i < last && !h.down(i) {
		h.up(i)
	}
	e.index = -1
}

func (h *heap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

// down reports whether it moved anything.
func (h *heap) down(i int) bool {
	start := i
	for {
		child := 2*i + 1
		if child >= len(h.events) {
			break
		}
		if right := child + 1; right < len(h.events) && h.less(right, child) {
			child = right
		}
		if !h.less(child, i) {
			break
		}
		h.swap(i, child)
		i = child
	}
	return i > start
}
