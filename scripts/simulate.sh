#!/usr/bin/env bash
# Simulated worlds: the engine's own code on a kernel, an exchange and a Redis that a seed decides, on every core.
#
#   scripts/simulate.sh 1000000                    a million seeds, from 1
#   scripts/simulate.sh 1 --first 4711 --verbose   one seed again, with its story
#   scripts/simulate.sh 10000 --pair               worlds of two members of a group
#   scripts/simulate.sh 60 --fault holdForgotten   a fault planted around healer or readers: worlds must fail
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh
swift_build --product run-seeds
exec "$built/run-seeds" "$@"
