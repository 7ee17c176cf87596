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
    exec gosu mongodb "$0" "$@"
fi

if [ -n "${MONGO_INITDB_ROOT_USERNAME:-}" ] || [ -n "${MONGO_INITDB_ROOT_PASSWORD:-}" ]; then
    if [ -z "${MONGO_INITDB_ROOT_USERNAME:-}" ] || [ -z "${MONGO_INITDB_ROOT_PASSWORD:-}" ]; then
        echo "error: MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD go together; one is missing" >&2
        exit 1
    fi
    if [ ! -e /data/db/WiredTiger ]; then
        # Without authentication, replica set and outside address: nobody but this script can connect.
        mongod --fork --logpath /tmp/init.log --bind_ip 127.0.0.1 --dbpath /data/db
        create-user.py
        mongod --shutdown --dbpath /data/db
        rm /tmp/init.log
    fi
    case " $* " in
        *" --auth "*) ;;
        *) set -- "$@" --auth ;;
    esac
fi
case " $* " in
    *" --bind_ip"*) ;;
    *) set -- "$@" --bind_ip_all ;;
esac
exec "$@"
