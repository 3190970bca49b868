#!/bin/sh
# Stops the broker when the package goes, not when another version takes its place ("upgrade" of dpkg, 1 of rpm).
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now troupe.service
	fi
	;;
esac
