#!/usr/bin/env bash
# Installs mpm's peers in other languages into benches/target/peers: `benches/peers.sh`. Needs python3 with venv, and npm.
#
# multiprocessing.Pool and ProcessPoolExecutor come with Python; what is compared is written down here with its version.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p target/peers
cd target/peers

if command -v python3 >/dev/null; then
    [ -x venv/bin/python ] || python3 -m venv venv
    venv/bin/pip install --quiet --disable-pip-version-check loky==3.7.0
    touch venv/installed
else
    echo "no python3: its pools stay left out" >&2
fi

if command -v npm >/dev/null; then
    npm install --silent --no-fund --no-audit --prefix . workerpool@10.0.3
else
    echo "no npm: workerpool stays left out" >&2
fi
