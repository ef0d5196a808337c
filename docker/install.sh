#!/bin/sh
# Installs pinned packages into a fresh virtual environment: `install.sh VENV PIP-ARGUMENTS…`.
# Makefile and Dockerfile both run it, so that what is tested is what is shipped.
set -eu
venv=$1
shift
"${PYTHON:-python3}" -m venv "$venv"
# --group needs a newer pip than some Pythons bring.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check pip==26.2
"$venv/bin/python" -m pip install --quiet --constraint constraints.txt "$@"
