package osenv

import "sync"

// OffloadTasks is how many offloaded tasks run beside each other: more than a disk has use for, fewer than hurts. Tasks beyond wait
// in the order they came; their number is bounded by the actors that wait for them.
const OffloadTasks = 64

// Offload runs blocking work on up to max goroutines, which end when there is nothing to do.
type Offload struct {
	max     int
	mu      sync.Mutex
	running int      // guarded by mu
	waiting []func() // guarded by mu; nil unless running == max
}

// NewOffload makes an env.Offload of at most max goroutines.
func NewOffload(max int) *Offload { return &Offload{max: max} }

// Run implements env.Offload.
func (o *Offload) Run(work func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.running == o.max {
		o.waiting = append(o.waiting, work)
		return
	}
	o.running++
	go o.work(work)
}

func (o *Offload) work(task func()) {
	for task != nil {
		task()
		task = o.next()
	}
}

// next takes the oldest waiting task; nil ends the goroutine.
func (o *Offload) next() func() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		o.waiting = nil
		o.running--
		return nil
	}
	task := o.waiting[0]
	o.waiting[0] = nil
	o.waiting = o.waiting[1:]
	return task
}
