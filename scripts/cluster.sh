#!/usr/bin/env bash
# A Redis Cluster: the tests of it in their long form, and the times that they print, held to the bounds below. Among them a soak with a
# fault every five seconds, for FASTFEED_CLUSTER_MINUTES (2).
#
#   scripts/cluster.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source scripts/told-times.sh

run_long SystemTests.Cluster
# The tests' cluster-node-timeout is 2 s; four more for the election, the map and the new connection.
at_most 6.0 3 "cluster, killed: its shard silent for"
at_most 0.3 3 "cluster, killed: the others silent for"
at_most 6.0 1 "cluster, hung: its shard silent for"
at_most 0.3 1 "cluster, hung: the others silent for"
at_most 0.3 3 "cluster, planned: its shard silent for"
at_most 0.3 3 "cluster, planned: the others silent for"
# 4,000 slots there and back.
at_most 0.25 2 "cluster, moved: the longest acknowledgement took"
grep '^cluster, soak' "$told" || fail "the soak has not told what it has done"
judge_times
