package httpd

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

// logLevels answers /debug/log-level: GET shows every logger with its level, PUT ?logger=NAME&level=LEVEL sets one (the root's, if none
// is named), DELETE ?logger=NAME gives it that of the logger above it. It takes levels in any case, where Kafka's clients want capitals.
func (s *Server) logLevels(w http.ResponseWriter, r *http.Request) {
	logger, level := r.FormValue("logger"), strings.ToUpper(r.FormValue("level"))
	if logger == "" {
		logger = config.RootLogger
	}
	if r.Method != http.MethodGet {
		if why := s.setLevel(r, logger, level); why != "" {
			text(w, http.StatusBadRequest, why+"\n")
			return
		}
	}
	var out strings.Builder
	for _, l := range s.options.Loggers.Levels() {
		fmt.Fprintf(&out, "%s=%s\n", l.Logger, l.Level)
	}
	text(w, http.StatusOK, out.String())
}

// setLevel carries out PUT and DELETE, or says what is wrong with them.
func (s *Server) setLevel(r *http.Request, logger, level string) string {
	has := func(l api.LoggerLevel) bool { return l.Logger == logger }
	remove := r.Method == http.MethodDelete
	switch {
	case !slices.ContainsFunc(s.options.Loggers.Levels(), has):
		return fmt.Sprintf("there is no logger %q", logger)
	case remove && logger == config.RootLogger:
		return "the level of the root logger cannot be removed"
	case remove:
		level = ""
	case !slices.Contains(config.LogLevels, level):
		return fmt.Sprintf("there is no level %q; %s are", level, strings.Join(config.LogLevels, ", "))
	}
	s.options.Loggers.SetLevel(logger, level)
	s.options.Logger.Info("log level changed", slog.String("logger", logger), slog.String("level", level), slog.String("by", "HTTP from "+r.RemoteAddr))
	return ""
}
