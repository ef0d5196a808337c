#!/bin/sh
# PostgreSQL's archive_command: `archive_wal.sh SEGMENT NAME FOLDER`. PostgreSQL keeps a segment of
# its log and asks again until this ends with 0: only then a copy of it is on the disk, whole.
set -eu
segment=$1
kept=$3/$2
if [ -e "$kept" ]; then
    # Asked again after a crash. Another segment of that name is never written over.
    cmp --silent "$segment" "$kept"
    exit
fi
cp "$segment" "$kept.part"
sync "$kept.part"
mv "$kept.part" "$kept"
sync "$3"
