package httpd

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/troupe-broker/troupe/transport/kafka/api"
)

const (
	headerTimeout = 5 * time.Second // for the head of a request; a profile itself may take longer
	headerBytes   = 16 << 10
	idleTimeout   = 2 * time.Minute
)

// Options are what a Server shows.
type Options struct {
	// Conditions are what readiness consists of, in the order in which they are shown.
	Conditions []Condition
	// Metrics serves /metrics; nil means not found.
	Metrics http.Handler
	// Node is the value of /debug/node; nil means not found.
	Node func() any
	// Loggers are shown and set at /debug/log-level; nil means not found.
	Loggers api.Loggers
	// Logger hears of broken connections; nil means silence.
	Logger *slog.Logger
}

// Server answers on one or more listeners.
type Server struct {
	options Options
	http    *http.Server
	started atomic.Bool // ready at least once
}

// New makes a server that listens nowhere yet.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /startupz", s.startupz)
	if o.Metrics != nil {
		mux.Handle("GET /metrics", o.Metrics)
	}
	if o.Node != nil {
		mux.HandleFunc("GET /debug/node", onlyLocal(s.node))
	}
	if o.Loggers != nil {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			mux.HandleFunc(method+" /debug/log-level", onlyLocal(s.logLevels))
		}
	}
	mux.HandleFunc("GET /debug/pprof/", onlyLocal(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/profile", onlyLocal(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", onlyLocal(pprof.Symbol))
	mux.HandleFunc("GET /debug/pprof/trace", onlyLocal(pprof.Trace))
	mux.HandleFunc("GET /{$}", index)
	s.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: headerBytes, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve answers on l, which it owns from now on, until Close. It returns nil after Close.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close stops listening and waits for answers under way until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return s.http.Close() // a profile may run for minutes; it is not worth waiting for
	}
	return err
}

// onlyLocal serves requests of people and tools on this machine: a profile costs time and shows the insides, and there is no authentication.
// A page in a browser there is somebody else's, whether it asks across sites or has its name resolve to this machine, and so is what a proxy
// there passes on.
func onlyLocal(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if why := foreign(r); why != "" {
			text(w, http.StatusForbidden, why+"\n")
			return
		}
		serve(w, r)
	}
}

// forwarding are headers by which proxies say for whom they ask.
var forwarding = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"}

// foreign says why a request is not one of this machine, or nothing.
func foreign(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return "only from this machine: forward a port, for example with ssh -L"
	}
	if !localHost(r.Host) {
		return "only by the name localhost, or an address of the loopback"
	}
	for _, h := range forwarding {
		if r.Header.Get(h) != "" {
			return "only from this machine, and not through a proxy (" + h + ")"
		}
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if r.Header.Get("Origin") != "" || site != "" && site != "none" && site != "same-origin" {
		return "not for pages of other sites"
	}
	return ""
}

// localHost reports whether the host of a request is this machine in every network.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

func (s *Server) node(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s.options.Node()); err != nil {
		s.options.Logger.Debug("writing /debug/node", slog.Any("err", err))
	}
}

func index(w http.ResponseWriter, _ *http.Request) {
	text(w, http.StatusOK, "troupe\n\n/livez\n/readyz?verbose\n/startupz\n/metrics\n/debug/node\n/debug/log-level\n/debug/pprof/\n")
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write([]byte(body))
}
