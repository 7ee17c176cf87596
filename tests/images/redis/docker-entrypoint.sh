#!/usr/bin/env bash
# As in the official image: options alone are the server's, and without a password it still answers outside.
set -euo pipefail

if [ "${1:0:1}" = - ]; then
    set -- redis-server "$@"
fi
if [ "$1" = redis-server ]; then
    set -- "$@" --protected-mode no
    if [ "$(id -u)" = 0 ]; then
        chown redis .
        exec gosu redis "$@"
    fi
fi
exec "$@"
