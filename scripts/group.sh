#!/usr/bin/env bash
# A group of services: the tests of a group in their long form, and the silences that they print, held to the bounds below.
#
#   scripts/group.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source scripts/told-times.sh

run_long SystemTests.Group
# The tests' TTL is 2 s.
at_most 4.0 1 "group, killed: silence"
at_most 1.0 1 "group, joins: silence"
at_most 1.0 3 "group, replaced: silence"
at_most 1.0 1 "group, woken: silence"
judge_times
