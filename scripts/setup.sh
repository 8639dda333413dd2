#!/usr/bin/env bash
# Installs what FastFeed needs beside Swift, on Debian and Ubuntu. Does nothing, quickly, when all is there. What only some tests are for
# is installed by the scripts that run them (`optional` in common.sh).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v swift >/dev/null || fail "swift is not in PATH: install Swift 6.2 or newer from https://www.swift.org/install/linux/"

missing=()
for package in libhiredis-dev libcurl4-openssl-dev libssl-dev libjemalloc-dev libsimdjson-dev libmicrohttpd-dev openssl redis-server valgrind; do
    is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
command -v apt-get >/dev/null || fail "please install: ${missing[*]} (this system has no apt-get)"
[ ${#sudo[@]} -eq 0 ] || command -v sudo >/dev/null || fail "please install as root: ${missing[*]} (no sudo here)"
say "installing ${missing[*]}"
apt_install "${missing[@]}" || fail "apt-get cannot get: ${missing[*]}"
