#!/usr/bin/env bash
# Formats all Swift sources by .swift-format; with --check only says what differs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

sources=(Package.swift Sources Tests Benchmarks Fuzz)
# The formatter of Swift 6.3 joins `for unsafe name in` into one word, which no longer compiles.
if grep -rnE 'for unsafe [a-z]' --include='*.swift' "${sources[@]}"; then
    fail "write these loops without 'for unsafe' (over indices, say): swift format breaks them"
fi
case "${1:-}" in
    --check) swift format lint --strict --parallel --recursive "${sources[@]}" ;;
    "") swift format format --in-place --parallel --recursive "${sources[@]}" ;;
    *) fail "usage: $(basename "$0") [--check]" ;;
esac
