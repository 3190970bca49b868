package osenv

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestOffloadRunsUpToItsBoundAndKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound, tasks = 3, 10
		o := NewOffload(bound)
		var mu sync.Mutex
		var order []int
		running, peak := 0, 0
		for i := range tasks {
			o.Run(func() {
				mu.Lock()
				order = append(order, i)
				running++
				peak = max(peak, running)
				mu.Unlock()
				time.Sleep(time.Duration(i+1) * time.Second) // virtual
				mu.Lock()
				running--
				mu.Unlock()
			})
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if peak != bound || len(order) != tasks || !slices.IsSorted(order) {
			t.Errorf("peak %d, order %v", peak, order)
		}
		if o.running != 0 || o.waiting != nil {
			t.Errorf("at rest: %d running, %d waiting", o.running, len(o.waiting))
		}
	}) // fails if a goroutine is left
}

func TestClockAndChance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New()
		start, fired := e.Clock.Mono(), time.Duration(0)
		e.Clock.AfterFunc(time.Second, func() { fired = e.Clock.Mono() - start })
		stopped := e.Clock.AfterFunc(time.Second, func() { t.Error("stopped timer fired") })
		if !stopped.Stop() {
			t.Error("Stop of a pending timer")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if fired != time.Second {
			t.Errorf("fired after %v", fired)
		}
		if e.Rand.Uint64() == e.Rand.Uint64() {
			t.Error("chance repeats itself")
		}
	})
}
