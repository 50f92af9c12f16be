#!/usr/bin/env bash
# Runs every test. Installs what the tests need on Debian: a C compiler for SQLite and the
# cryptography, Python with venv for the tests against other people's software, and Chromium with
# a Chinese font for the tests of the checkout page.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v python3 >/dev/null || missing+=(python3)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
command -v chromium >/dev/null || missing+=(chromium)
ls /usr/share/fonts/truetype/wqy/wqy-microhei* >/dev/null 2>&1 || missing+=(fonts-wqy-microhei)
if [ ${#missing[@]} -gt 0 ]; then
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo="sudo"
    echo "installing: ${missing[*]}" >&2
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"
fi

exec cargo test --workspace --all-targets --locked "$@"
