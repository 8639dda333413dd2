#!/usr/bin/env bash
# Builds and shows FastFeed at work, offline: simulated exchange, private Redis, live view. Arguments go to
# `feedd demo` (see `feedd demo --help`).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh
say "building feedd (the first time takes some minutes)"
swift_build --product feedd --quiet
exec "$built/feedd" demo "$@"
