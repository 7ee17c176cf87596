#!/usr/bin/env bash
# What realdb-ci and testcontainers use of the official image's entry point.
set -euo pipefail

if [ "${1:0:1}" = - ]; then
    set -- mongod "$@"
fi
if [ "$1" != mongod ]; then
    exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
    chown mongodb /data/db /data/configdb
    # shellcheck disable=SC2128
    exec gosu mongodb "$BASH_SOURCE" "$@"
fi

if [ -n "${MONGO_INITDB_ROOT_USERNAME:-}" ] && [ -n "${MONGO_INITDB_ROOT_PASSWORD:-}" ]; then
    if [ ! -e /data/db/WiredTiger ]; then
        # Without authentication, replica set and outside address: nobody but this script can connect.
        mongod --fork --logpath /tmp/init.log --bind_ip 127.0.0.1 --dbpath /data/db
        create-user.py
        mongod --shutdown --dbpath /data/db
        rm /tmp/init.log
    fi
    set -- "$@" --auth
fi
case " $* " in
    *" --bind_ip"*) ;;
    *) set -- "$@" --bind_ip_all ;;
esac
exec "$@"
