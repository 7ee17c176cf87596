#!/usr/bin/env bash
# What realdb-ci and testcontainers use of the official image's entry point.
set -euo pipefail

if [ "${1:0:1}" = - ]; then
    set -- postgres "$@"
fi
if [ "$1" != postgres ]; then
    exec "$@"
fi
# The volume moved one folder up with version 18, and the official image refuses the old place since.
if [ "$PG_MAJOR" -ge 18 ] && grep -q ' /var/lib/postgresql/data ' /proc/self/mountinfo; then
    echo "Error: in 18+, these Docker images are configured to store data in $PGDATA." >&2
    echo "       Found a mount on /var/lib/postgresql/data; mount /var/lib/postgresql instead." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 700 "$PGDATA"
    install -d -o postgres -g postgres -m 775 /var/run/postgresql
    exec gosu postgres "$0" "$@"
fi
shift

# While this server runs, nobody can connect from outside; it has the arguments of the one to come.
private() { # pg_ctl action and its options...
    local options
    options=$(printf '%q ' "${arguments[@]}" -c listen_addresses= -c unix_socket_directories=/var/run/postgresql)
    PGUSER=$user pg_ctl -w -o "$options -p 5432" "$@"
}

run_scripts() {
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        if [[ $script == *.sql ]]; then
            psql -v ON_ERROR_STOP=1 -U "$user" -d "$database" -f "$script"
        elif [[ $script == *.sh && -x $script ]]; then
            "$script"
        elif [[ $script == *.sh ]]; then
            # shellcheck disable=SC1090  # found at run time, like all of them
            . "$script"
        fi
    done
}

initialise() {
    if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
        echo "Error: Database is uninitialized and superuser password is not specified." >&2
        echo "       Set POSTGRES_PASSWORD to a non-empty value for the superuser." >&2
        exit 1
    fi
    # An empty password file is an error to initdb, and no file at all is right for trust.
    local password=()
    if [ -n "${POSTGRES_PASSWORD:-}" ]; then
        exec 3< <(printf '%s\n' "$POSTGRES_PASSWORD")
        password=(--pwfile=/dev/fd/3)
    fi
    # Arguments of the user come last: initdb takes the last of a repeated option.
    xargs initdb --username="$user" "${password[@]}" --encoding=UTF8 --locale=C.UTF-8 <<<"${POSTGRES_INITDB_ARGS:-}"
    echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
    private start
    export PGPASSWORD=${POSTGRES_PASSWORD:-} PGHOST=/var/run/postgresql
    if [ "$database" != postgres ]; then
        psql -v ON_ERROR_STOP=1 -U "$user" -d postgres -v name="$database" <<<'CREATE DATABASE :"name";'
    fi
    run_scripts
    unset PGPASSWORD PGHOST
    private -m fast stop
    echo "PostgreSQL init process complete; ready for start up."
}

arguments=("$@")
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    initialise
fi
# The official psql looks for it in the first place, that of a wheel in the second.
exec postgres -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql,/tmp "$@"
