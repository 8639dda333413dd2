# Backup, wreck, restore. Sourced by deploy-test.sh.

part_backup() {
    if ! has redis-server || ! has redis-check-rdb; then skip "redis-server or redis-check-rdb is not installed"; return; fi
    make_users
    start_exchange
    start_redis primary
    start_feedd feedd --redis "unix://$work/primary.sock" --redis-user feed-service --redis-password-file "$work/secrets/redis-service" \
        --flux btcusdt,ethusdt,bnbusdt:1s --backfill 100
    holds "candles are stored" stored primary 110
    local before file folder=$work/primary
    before=$(newest primary)
    entries primary "$before" >"$work/before"
    local take=(scripts/backup.sh --keep 2 --password-file "$work/secrets/redis-replica" "$work/backups" -s "$work/primary.sock" --user feed-replica)
    "${take[@]}" >"$work/taken" || fail "the backup: $(cat "$work/taken")"
    file=$(cut -d: -f1 "$work/taken")
    say "  $(cat "$work/taken")" | sed "s,$work/,,"
    refused scripts/backup.sh --password-file "$work/wrong" "$work/backups" -s "$work/primary.sock" 2>>"$logs/checks.log" ||
        fail "a backup without a password"
    # Paths of the caller, also among the flags of redis-cli.
    (cd "$work" && "$OLDPWD/scripts/backup.sh" --password-file secrets/redis-replica elsewhere -s primary.sock --user feed-replica) \
        >>"$logs/checks.log" || fail "a backup with relative paths: $logs/checks.log"
    refused scripts/restore.sh "$file" "$folder" 2>"$work/said" || fail "restored under a running server"
    grep -q 'runs in' "$work/said" || fail "$(cat "$work/said")"
    say "  refused while a server runs"
    holds "more candles are stored" stored primary 116

    end primary KILL
    find "$folder/appendonlydir" -type f -exec sh -c 'head -c 4096 /dev/urandom >"$1"' _ {} \;
    redis_port=$(free_port)
    start wrecked redis-server "$work/primary.conf" --port "$redis_port" --dir "$folder" --unixsocket "" --aclfile "$work/users.acl"
    holds "Redis does not start from what is wrecked" ended wrecked
    refused wait "${pids[wrecked]}" || fail "it ends with 0: $logs/wrecked.log"
    unset "pids[wrecked]"
    cp "$file" "$work/damaged.rdb"
    sed "s,feedd-.*,damaged.rdb," "$file.sha256" >"$work/damaged.rdb.sha256"
    printf '\x5a' | dd of="$work/damaged.rdb" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc 2>/dev/null
    cmp -s "$file" "$work/damaged.rdb" && printf '\xa5' | dd of="$work/damaged.rdb" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc 2>/dev/null
    refused scripts/restore.sh "$work/damaged.rdb" "$folder" 2>>"$logs/checks.log" || fail "a damaged backup was restored"
    (cd "$work" && sha256sum damaged.rdb >damaged.rdb.sha256)
    refused scripts/restore.sh "$work/damaged.rdb" "$folder" 2>>"$logs/checks.log" || fail "a damaged backup with a right sum was restored"
    rm "$work/damaged.rdb.sha256"
    refused scripts/restore.sh "$work/damaged.rdb" "$folder" 2>>"$logs/checks.log" || fail "a backup without a sum was restored"
    say "  refused when it is damaged"
    printf 'kept\n' >"$folder/appendonly.aof"
    mkdir "$work/bin"
    printf '#!/bin/sh\nexit 1\n' >"$work/bin/mkdir"
    chmod 755 "$work/bin/mkdir"
    refused env PATH="$work/bin:$PATH" scripts/restore.sh "$file" "$folder" 2>>"$logs/checks.log" || fail "restored over what could not be moved"
    [ "$(cat "$folder/appendonly.aof")" = kept ] || fail "what could not be moved aside is overwritten"
    rm "$folder/appendonly.aof"
    say "  refused when what is there cannot be moved aside"
    scripts/restore.sh "$file" "$folder" >>"$logs/checks.log" || fail "the restore: $logs/checks.log"
    start_redis primary
    entries primary "$before" | cmp - "$work/before" || fail "what was stored before the backup is not there again, byte for byte"
    say "  restored: all up to the backup, byte for byte"
    holds "feedd goes on by itself" is_ready
    holds "what came after the backup is there again" stored primary 125
    # A loss is noticed half a second after Redis is back; until then nothing is listed.
    holds "every second is there" is_whole primary
    holds "and nothing is missing" nothing_missing
    end primary
    start_redis primary
    entries primary "$before" | cmp - "$work/before" || fail "the second start has lost what was restored"
    is_whole primary || fail "the second start has lost what was healed"
    say "  and after another start"
    for _ in 1 2 3; do sleep 1.1; "${take[@]}" >/dev/null; done
    [ "$(find "$work/backups" -name '*.rdb' | wc -l)" -eq 2 ] && [ "$(find "$work/backups" -name '*.sha256' | wc -l)" -eq 2 ] ||
        fail "not two backups are kept: $(ls "$work/backups")"
    say "  the newest two are kept"
    for name in feedd exchange primary; do end $name; done
    redis_port=0
}
