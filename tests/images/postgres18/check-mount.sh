#!/usr/bin/env bash
# Version 18 of the official image refuses a mount on the path of the versions before it.
set -euo pipefail

if grep -q ' /var/lib/postgresql/data ' /proc/self/mountinfo; then
    echo "Error: in 18+, these Docker images are configured to store data in /var/lib/postgresql/18/docker." >&2
    echo "       Found a mount on /var/lib/postgresql/data; mount /var/lib/postgresql instead." >&2
    exit 1
fi
exec docker-entrypoint.sh "$@"
