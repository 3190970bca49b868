package config

// LogLevels are those that a logger can have, from the fewest lines to the most. Source: LogLevelConfig.VALID_LOG_LEVELS.
var LogLevels = []string{"FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"}

// RootLogger is the name of the logger that all others are under. Source: LoggingController.ROOT_LOGGER.
const RootLogger = "root"
