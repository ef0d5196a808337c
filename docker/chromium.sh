#!/bin/sh
# Chromium and its driver, which the tests of the page lead. Debian's and Ubuntu's packages.
set -eu
if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
	exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "The tests of the page need the programs chromium and chromedriver. Install them, with Debian's" >&2
	echo "packages by: sudo apt-get install chromium chromium-driver" >&2
	exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium chromium-driver >/dev/null
