package workload

import (
	"fmt"
	"time"
)

const (
	// tidePeriod is how long most migrants of a run want to be of one protocol, before they want the other.
	tidePeriod = 4 * time.Second
	// migrantPace is how often a migrant asks itself which it wants to be.
	migrantPace = 1500 * time.Millisecond
)

// Migrant is an application that is moved from one protocol of consumer groups to the other and back, while its group lives: a member of
// one kind ends, with or without a word, and one of the other kind takes its place; a static one with the same instance id. The group
// changes its protocol with the first member of the new kind, or when the last one is gone.
type Migrant struct {
	stage       *Stage
	name, group string
	instance    string
	cooperative bool
	lives       int
	classic     *Member
	modern      *ModernMember
}

// StartMigrant begins a migrant.
func StartMigrant(s *Stage, name, group string, cooperative bool) *Migrant {
	m := &Migrant{stage: s, name: name, group: group, cooperative: cooperative}
	if s.env.Rand(name).IntN(3) == 0 {
		m.instance = name
	}
	m.begin(s.env.Rand(name).IntN(2) == 0)
	m.drift()
	return m
}

// begin begins a life.
func (m *Migrant) begin(modern bool) {
	m.lives++
	name := fmt.Sprintf("%s.%d", m.name, m.lives)
	if modern {
		m.modern = newModernMember(m.stage, name, m.group)
		m.modern.who.instance = m.instance
		m.modern.start()
		return
	}
	m.classic = newMember(m.stage, name, m.group)
	m.classic.who.instance, m.classic.cooperative, m.classic.mixed, m.classic.reborn = m.instance, m.cooperative, true, true
	m.classic.start()
	m.classic.live()
}

// drift follows the tide, mostly.
func (m *Migrant) drift() {
	rng := m.rng()
	m.stage.env.After(migrantPace/2+time.Duration(rng.Int64N(int64(migrantPace))), func() {
		if m.stage.stopped {
			return
		}
		defer m.drift()
		wanted := m.stage.env.Now()/tidePeriod%2 == 0
		if swims := wanted != (m.modern != nil); swims && rng.IntN(4) > 0 || rng.IntN(12) == 0 {
			m.change()
		}
	})
}

func (m *Migrant) rng() interface {
	IntN(int) int
	Int64N(int64) int64
} {
	if m.modern != nil {
		return m.modern.rng
	}
	return m.classic.rng
}

// change ends the life and begins one of the other kind.
func (m *Migrant) change() {
	polite := m.rng().IntN(3) > 0
	if m.modern != nil {
		m.stage.sometimes("migrant goes to the classic protocol", true)
		if polite && m.modern.up && m.modern.who.generation > 0 {
			m.modern.leave()
		}
		m.modern.vanish()
		m.modern = nil
		m.begin(false)
		return
	}
	m.stage.sometimes("migrant goes to the consumer protocol", true)
	if polite && m.classic.up && m.classic.stable {
		m.classic.leave()
	}
	m.classic.vanish()
	m.classic = nil
	m.begin(true)
}

// Idle implements Coordinated.
func (m *Migrant) Idle() bool { return true }

// Behind describes what keeps the member from being a settled one.
func (m *Migrant) Behind() string {
	if m.modern != nil {
		return m.modern.Behind()
	}
	return m.classic.Behind()
}
