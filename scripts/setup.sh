#!/usr/bin/env bash
# Installs what FastFeed needs beside Swift, on Debian and Ubuntu. Does nothing, quickly, when all is there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v swift >/dev/null || fail "swift is not in PATH: install Swift 6.2 or newer from https://www.swift.org/install/linux/"

packages=(libhiredis-dev libcurl4-openssl-dev libssl-dev libjemalloc-dev libsimdjson-dev openssl redis-server valgrind)
missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)" = "install ok installed" ] || missing+=("$package")
done
# A redis-server from elsewhere will do.
if command -v redis-server >/dev/null; then
    kept=()
    for package in "${missing[@]:+${missing[@]}}"; do [ "$package" = redis-server ] || kept+=("$package"); done
    missing=("${kept[@]:+${kept[@]}}")
fi
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || fail "please install: ${missing[*]} (this system has no apt-get)"
sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "please install as root: ${missing[*]} (no sudo here)"
    sudo=(sudo)
fi
say "installing ${missing[*]}"
install() {
    # RUNLEVEL=1: a package that brings a service does not start it.
    "${sudo[@]:+${sudo[@]}}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
# The package lists of a fresh image are empty or old: try first, refresh only when that fails.
install 2>/dev/null || { "${sudo[@]:+${sudo[@]}}" apt-get update -qq; install; }

# FastFeed runs its own redis-server; one that came with the package just now has no business running.
case " ${missing[*]} " in
    *" redis-server "*)
        if command -v systemctl >/dev/null && systemctl is-active --quiet redis-server 2>/dev/null; then
            "${sudo[@]:+${sudo[@]}}" systemctl disable --now redis-server >/dev/null 2>&1 || true
        fi
        ;;
esac
