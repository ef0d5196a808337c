#!/bin/sh
# Puts a base backup where PostgreSQL, which must be stopped, finds it at its next start:
#   PGDATA=FOLDER restore.sh BASE.tar WAL-FOLDER [TIME [TIMELINE]]
# It then replays the log of WAL-FOLDER, up to TIME ('2026-11-27 12:00:00+00') if one is given. Each
# restore begins another timeline: the latest is followed, or that of the base if TIMELINE is
# `current`, which leads to what an earlier restore left out.
# What was in PGDATA is set aside, not removed. Run it as the user that PostgreSQL runs as.
set -eu
base=$1
wal=$2
aside=$PGDATA.before-restore
if [ -e "$PGDATA/postmaster.pid" ]; then
    echo "restore.sh: PostgreSQL may be running in $PGDATA: stop it first (after a crash of the" \
        "whole machine remove its postmaster.pid)." >&2
    exit 1
fi
if [ -e "$aside" ]; then
    echo "restore.sh: $aside is there, from an earlier restore: remove it, or carry it away." >&2
    exit 1
fi
[ -d "$wal" ] || { echo "restore.sh: there is no folder $wal." >&2; exit 1; }
new=$PGDATA.restoring
rm -rf "$new"
mkdir -m 0700 "$new"
tar --extract --file "$base" --directory "$new"
[ -e "$new/backup_label" ] || { echo "restore.sh: $base is no base backup." >&2; exit 1; }
{
    echo "restore_command = 'cp \"$wal/%f\" \"%p\"'"
    echo "recovery_target_action = 'promote'"
    # Nobody gets in, not even to read, before the moment is reached.
    echo "hot_standby = 'off'"
    [ -z "${3:-}" ] || echo "recovery_target_time = '$3'"
    echo "recovery_target_timeline = '${4:-latest}'"
} >> "$new/postgresql.auto.conf"
touch "$new/recovery.signal"
sync "$new"
[ ! -e "$PGDATA" ] || mv "$PGDATA" "$aside"
mv "$new" "$PGDATA"
echo "Start PostgreSQL now. The former state is in $aside."
