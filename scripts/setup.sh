#!/usr/bin/env bash
# Installs what FastFeed needs beside Swift, on Debian and Ubuntu. Does nothing, quickly, when all is there.
#
#   scripts/setup.sh           what it needs
#   scripts/setup.sh --tests   and the programs that some tests are for: where they are not to be had, those are skipped, aloud
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v swift >/dev/null || fail "swift is not in PATH: install Swift 6.2 or newer from https://www.swift.org/install/linux/"

packages=(libhiredis-dev libcurl4-openssl-dev libssl-dev libjemalloc-dev libsimdjson-dev libmicrohttpd-dev openssl redis-server valgrind)
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
others=()
if [ "${1:-}" = --tests ]; then
    for package in tinyproxy microsocks prometheus; do command -v $package >/dev/null || others+=("$package"); done
fi
[ $((${#missing[@]} + ${#others[@]})) -gt 0 ] || exit 0

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
install() {
    # RUNLEVEL=1: a package that brings a service does not start it.
    "${sudo[@]:+${sudo[@]}}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
# The package lists of a fresh image are empty or old: try first, refresh only when that fails.
install_all() { install "$@" 2>/dev/null || { "${sudo[@]:+${sudo[@]}}" apt-get update -qq && install "$@"; }; }
# What we run ourselves has no business running because its package came just now.
disable() {
    local service
    for service in "$@"; do
        if command -v systemctl >/dev/null && systemctl is-active --quiet "$service" 2>/dev/null; then
            "${sudo[@]:+${sudo[@]}}" systemctl disable --now "$service" >/dev/null 2>&1 || true
        fi
    done
}

if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || fail "please install: ${missing[*]} (this system has no apt-get)"
    [ ${#sudo[@]} -eq 0 ] || command -v sudo >/dev/null || fail "please install as root: ${missing[*]} (no sudo here)"
    say "installing ${missing[*]}"
    install_all "${missing[@]}"
    case " ${missing[*]} " in *" redis-server "*) disable redis-server ;; esac
fi
if [ ${#others[@]} -gt 0 ]; then
    # Nobody is asked for a password for what is not needed.
    [ ${#sudo[@]} -eq 0 ] || sudo=(sudo -n)
    if install_all "${others[@]}" >/dev/null 2>&1 </dev/null; then
        disable "${others[@]}"
    else
        say "${others[*]}: skipped, apt-get cannot get them here"
    fi
fi
