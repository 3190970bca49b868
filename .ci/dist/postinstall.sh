#!/bin/sh
# Makes the user and tells systemd of the unit. The broker is neither enabled nor started: that is the administrator's choice.
set -e
if command -v systemd-sysusers >/dev/null 2>&1; then
	systemd-sysusers troupe.conf
elif ! getent passwd troupe >/dev/null; then
	useradd --system --home-dir /var/lib/troupe --no-create-home --shell /usr/sbin/nologin troupe
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart troupe.service
fi
