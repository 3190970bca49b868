#!/bin/sh
# Data in /var/lib/troupe stays, whatever is removed.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
