#!/bin/sh
# Makes the user that the service runs as, and the folders that it keeps everything in.
set -eu
# A fixed number: a volume keeps its owner from one image to the next.
groupadd --gid 10001 oneglance
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin oneglance
install --directory --owner=oneglance --group=oneglance --mode=0700 /data /secret
