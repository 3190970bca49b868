package httpd

import (
	"net/http"
	"strings"
)

// Condition is one thing that must hold for the node to be ready.
type Condition struct {
	Name string
	// Check returns nil while the condition holds, and otherwise why it does not. Called on any goroutine; must not block.
	Check func() error
	// Degrades says that the node is ready without it: it serves what is not concerned. It is shown all the same.
	Degrades bool
}

// readyz answers for all conditions. With ?verbose each has a line: "[+]name ok", "[!]name: why" or "[-]name: why", as in Kubernetes.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ready, degraded, report := s.conditions()
	if ready {
		s.started.Store(true)
	}
	_, verbose := r.URL.Query()["verbose"]
	switch {
	case verbose && ready:
		text(w, http.StatusOK, report+"ready\n")
	case degraded:
		text(w, http.StatusOK, report+"ready, but for the above\n")
	case ready:
		text(w, http.StatusOK, "ok\n")
	default: // why is what the reader wants to know, asked for or not
		text(w, http.StatusServiceUnavailable, report+"not ready\n")
	}
}

func (s *Server) conditions() (ready, degraded bool, report string) {
	var b strings.Builder
	ready = true
	for _, c := range s.options.Conditions {
		err := c.Check()
		if err != nil && c.Degrades {
			degraded = true
			b.WriteString("[!]" + c.Name + ": " + err.Error() + "\n")
			continue
		}
		if err != nil {
			ready = false
			b.WriteString("[-]" + c.Name + ": " + err.Error() + "\n")
			continue
		}
		b.WriteString("[+]" + c.Name + " ok\n")
	}
	return ready, degraded, b.String()
}

// startupz is readyz until that holds for the first time, and good from then on.
func (s *Server) startupz(w http.ResponseWriter, r *http.Request) {
	if s.started.Load() {
		text(w, http.StatusOK, "ok\n")
		return
	}
	s.readyz(w, r)
}
