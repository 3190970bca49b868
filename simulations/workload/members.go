package workload

import "fmt"

// Coordinated is a client of coordinators, as a run sees it.
type Coordinated interface {
	// Idle reports whether nothing is under way that has to end.
	Idle() bool
	// Behind describes what is not yet as it must be when nothing is broken; empty if all is.
	Behind() string
}

// StartCoordinated begins all clients of coordinators that the settings ask for.
func (s *Stage) StartCoordinated() (out []Coordinated) {
	for i := range s.Committers {
		out = append(out, StartCommitter(s, fmt.Sprint("committer-", i)))
	}
	for i := range s.Members {
		out = append(out, StartMember(s, fmt.Sprint("member-", i), fmt.Sprint("classic-", i%2), i%2 == 1))
	}
	for i := range s.ModernMembers {
		out = append(out, StartModernMember(s, fmt.Sprint("consumer-member-", i), "modern"))
	}
	for i := range s.Keepers {
		out = append(out, startKeeper(s, i))
	}
	for i := range s.RegexMembers {
		out = append(out, startRegexMember(s, fmt.Sprint("regex-member-", i), i%len(patterns)))
	}
	for i := range s.Migrants {
		out = append(out, StartMigrant(s, fmt.Sprint("migrant-", i), fmt.Sprint("migrating-", i%2), i%2 == 1))
	}
	for i := range s.Copiers {
		StartCopier(s, fmt.Sprint("copier-", i))
	}
	for i := range s.Tellers {
		StartTeller(s, fmt.Sprint("bank-", i))
	}
	return append(out, copiers{s}, tellers{s}, coverage{s})
}

// patterns are what members subscribe to by regular expression, each in a group of its own.
var patterns = []string{"topic-.*", "topic-[0-9]*[13579]"}

func startRegexMember(s *Stage, name string, pattern int) *ModernMember {
	m := newModernMember(s, name, fmt.Sprint("regex-", pattern))
	m.pattern = patterns[pattern]
	m.start()
	s.groupOf(m.group, nil).pattern = m.pattern
	return m
}

// copiers are all copiers of a run, with the twins that came later.
type copiers struct{ stage *Stage }

func (c copiers) Idle() bool {
	for _, o := range c.stage.copiers {
		if !o.Idle() {
			return false
		}
	}
	return true
}

func (c copiers) Behind() string {
	for _, o := range c.stage.copiers {
		if b := o.Behind(); b != "" {
			return b
		}
	}
	return ""
}
