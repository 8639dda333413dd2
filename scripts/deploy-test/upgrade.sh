# An upgrade, and the way back. Sourced by deploy-test.sh.

fields() { admin primary HKEYS status:service | sort; }
# `OLD` becomes a program of the last release or, while there is none, of the last commit before the page: far enough away to prove
# something. Built once, in folders of its own.
older_version() {
    local commit folder
    has swift || return 1
    commit=$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null) ||
        commit="$(git log --diff-filter=A --format=%h -- Sources/COps 2>/dev/null | tail -n 1)^"
    commit=$(git rev-parse --short --verify -q "$commit^{commit}") || return 1
    folder=$cache/older/$commit
    OLD=$folder/feedd
    [ ! -x "$OLD" ] || return 0
    rm -rf "$cache/older"
    mkdir -p "$folder/source"
    git archive "$commit" | tar -x -C "$folder/source" || fail "the tree of $commit cannot be had"
    # The same versions of what it depends on: what is here already.
    [ ! -e Package.resolved ] || cp Package.resolved "$folder/source/"
    FASTFEED_COMMIT=1$commit step "the version of $commit" swift_build --package-path "$folder/source" --scratch-path "$folder/build" --product feedd
    cp "$folder/build/release/feedd" "$OLD" || fail "the version of $commit is not where it should be"
    rm -rf "$folder/source" "$folder/build"
}
part_upgrade() {
    [ -n "${OLD:-}" ] || older_version || { skip "there is no older version here (a shallow clone, no Swift?); OLD=PROGRAM names one"; return; }
    say "  from $OLD"
    make_users
    start_exchange
    start_redis primary
    local arguments=(--redis "unix://$work/primary.sock" --redis-user feed-service --redis-password-file "$work/secrets/redis-service")
    local client=(--redis "unix://$work/primary.sock" --redis-user feed-client --redis-password-file "$work/secrets/redis-client")
    # Older ones have no page.
    version() { start "$1" env FEEDD_OPS=off "$2" run --venue-ws "ws://$exchange" --venue-rest "http://$exchange" --report-seconds 0 "${arguments[@]}"; }
    version old "$OLD"
    holds "old: it takes commands" "$OLD" list "${client[@]}"
    "$OLD" create btcusdt,ethusdt 1s "${client[@]}" >>"$logs/checks.log" 2>&1 || fail "old: no flux"
    holds "old: candles are stored" stored primary 5
    fields >"$work/old-fields"
    end old
    local before
    before=$(newest primary)
    entries primary "$before" >"$work/before"
    version new "$program"
    holds "new: the flux goes on" contains btcusdt "$program" list "${client[@]}"
    holds "new: candles are stored" stored primary $(($(count_of "$work/before") + 8))
    [ -z "$(comm -23 "$work/old-fields" <(fields))" ] || fail "the status lacks: $(comm -23 "$work/old-fields" <(fields))"
    # A newer one may put older candles in front.
    admin primary XRANGE 'candles:{btcusdt}:1s' "$(head -n 1 "$work/before")" "$before" | cmp - "$work/before" ||
        fail "new: it has changed what was stored"
    holds "new: nothing is missing" nothing_missing
    "$program" create bnbusdt 1s "${client[@]}" >>"$logs/checks.log" 2>&1 || fail "new: no flux"
    end new
    before=$(newest primary)
    version old-again "$OLD"
    holds "and back: both fluxes go on" contains bnbusdt "$OLD" list "${client[@]}"
    newer() { [[ $(newest primary) > $before ]]; }
    holds "and back: candles are stored" newer
    for name in old-again exchange primary; do end $name; done
    redis_port=0
}
