# Redis with its configurations: users, a replica, failovers, TLS, both at once, a cluster. Sourced by deploy-test.sh.

part_redis() {
    if ! has redis-server || ! has redis-cli || ! has openssl; then skip "redis-server, redis-cli or openssl is not installed"; return; fi
    make_users
    # The page, too, as who may ask what it shows.
    service+=(--redis-password-file "$work/secrets/redis-service")
    service+=(--ops-redis-user feed-ops --ops-redis-password-file "$work/secrets/redis-ops")
    start_exchange
    start_redis primary
    [ "$(admin primary CONFIG GET maxmemory-policy appendonly save | tr '\n' ' ')" = "appendonly yes save  maxmemory-policy noeviction " ] ||
        [ "$(admin primary CONFIG GET maxmemory-policy | tail -n 1)" = noeviction ] || fail "redis.conf is not what it says"
    holds "nobody without a name" contains NOAUTH redis-cli -p "$redis_port" PING
    start_feedd feedd --redis "redis://127.0.0.1:$redis_port" "${service[@]}" --flux btcusdt,ethusdt:1s
    holds "feedd: ready, with a password" is_ready
    holds "candles are stored" stored primary 3
    holds "client: it is answered" "$program" list --redis "redis://127.0.0.1:$redis_port" --redis-user feed-client \
        --redis-password-file "$work/secrets/redis-client"
    holds "reader: it reads" contains close as reader -p "$redis_port" XREVRANGE 'candles:{btcusdt}:1s' + - COUNT 1
    holds "worker: a group" says OK as worker -p "$redis_port" XGROUP CREATE 'candles:{btcusdt}:1s' bots 0
    holds "worker: its entries" contains close as worker -p "$redis_port" XREADGROUP GROUP bots a COUNT 1 STREAMS 'candles:{btcusdt}:1s' '>'
    holds "ops: metrics of Redis" contains "^feedd_redis_info{" curl -s "http://$ops/metrics"
    holds "no user of deploy/ was refused anything" nobody_was_refused primary
    for command in "worker XADD candles:{btcusdt}:1s 1-1 a 1" "worker DEL candles:{btcusdt}:1s" "reader PUBLISH updates:{btcusdt}:1s x" \
        "ops SET latest:1m x" "ops KEYS latest" "service FLUSHALL" "client CONFIG GET dir" "replica GET fluxes"; do
        # shellcheck disable=SC2086
        set -- $command
        eventually 30 contains NOPERM as "$1" -p "$redis_port" "${@:2}" || fail "feed-$1 may ${*:2}"
    done
    say "  and what they should not do, they cannot"
    [ "$(redis-server --version | sed -E 's/.* v=([0-9]+).*/\1/')" -lt 7 ] || narrow_client
    printf 'wrong\n' >"$work/wrong"
    local code=0
    "$program" run --redis "redis://127.0.0.1:$redis_port" --redis-user feed-service --redis-password-file "$work/wrong" \
        --ops off --flux btcusdt:1s >"$logs/wrong.log" 2>&1 </dev/null || code=$?
    [ $code -eq 2 ] || fail "a wrong password ends with $code: $logs/wrong.log"
    say "  a wrong password: exit code 2"
    admin primary ACL LOG RESET >/dev/null

    replication
    end feedd
    tls
    sentinel_over_tls
    cluster
    end exchange
}

# The client who may publish commands alone: docs/deployment.md, Access. Redis 7 and newer.
narrow_client() {
    local client=(--redis "redis://127.0.0.1:$redis_port" --redis-user feed-client --redis-password-file "$work/secrets/redis-client")
    cp "$work/users.acl" "$work/wide.acl"
    sed -E '/^user feed-client /{s/ \+publish / /; s/ &commands:\*//; s/$/ (+publish \&commands:*)/}' "$work/wide.acl" >"$work/users.acl"
    says OK admin primary ACL LOAD || fail "Redis refuses the narrow client"
    for channel in 'responses:{x}' 'updates:{btcusdt}:1s'; do
        eventually 30 contains NOPERM as client -p "$redis_port" PUBLISH "$channel" x || fail "a narrow client may publish to $channel"
    done
    admin primary ACL LOG RESET >/dev/null
    # Redis 7.0 ends all connections when it loads users, those of the service, too: for a moment nobody hears commands.
    holds "client, narrow: the service is there again" "$program" list "${client[@]}"
    "$program" create bnbusdt 1s "${client[@]}" >>"$logs/checks.log" 2>&1 || fail "a narrow client cannot create: $logs/checks.log"
    holds "client, narrow: it is answered" contains bnbusdt "$program" list "${client[@]}"
    holds "client, narrow: it watches" contains close timeout 5 "$program" watch bnbusdt 1s "${client[@]}"
    holds "client, narrow: refused nothing that it needs" nobody_was_refused primary
    cp "$work/wide.acl" "$work/users.acl"
    admin primary ACL LOAD >/dev/null
}

replication() {
    local primary_port=$redis_port
    redis_port=0
    start_redis replica --include "$PWD/deploy/redis/replica.conf" --replicaof 127.0.0.1 "$primary_port" \
        --masterauth "$(cat "$work/secrets/redis-replica")"
    holds "replica: it follows" contains '^master_link_status:up' admin replica INFO replication
    holds "replica: it has the candles" stored replica 3
    holds "replica: nobody writes" contains READONLY admin replica SET x 1
    start_sentinels 127.0.0.1 "$primary_port"
    holds_sentinels redis-cli
    start_feedd follower --redis "redis+sentinel://$(sentinel_places 127.0.0.1)/feedd" "${service[@]}" \
        --flux btcusdt:1s
    holds "feedd: it finds the primary by its Sentinels" is_ready
    holds "no user was refused anything" nobody_was_refused primary
    compose_replica "$primary_port"
    end primary KILL
    holds "the primary is gone: the replica takes its place" contains '^role:master' admin replica INFO replication
    holds "feedd: it follows" contains '^feedd_redis_failovers_total 1' curl -s "http://$ops/metrics"
    holds "feedd: and is ready" is_ready
    end follower
    holds "no user was refused anything there" nobody_was_refused replica
    for number in 1 2 3; do end "sentinel-$number"; done
    end replica
    redis_port=0
}
# start_sentinels HOST PORT [LINE…]: three that watch it, by secrets.sh's file; `sentinels` are their ports. PORT in a line: their own.
start_sentinels() {
    local number folder port line
    sentinels=()
    for number in 1 2 3; do
        folder=$work/sentinel-$number
        rm -rf "$folder"
        mkdir "$folder"
        port=$(free_port)
        sed -E "s/^port .*/port $port/; s,^dir .*,dir $folder,; s/^(sentinel monitor feedd) .* 2$/\1 $1 $2 2/
            s/(down-after-milliseconds feedd) .*/\1 1000/" "$work/secrets/sentinel.conf" >"$folder/sentinel.conf"
        # With users, where these are wanted.
        [ $# -eq 2 ] || sed -i -E 's/^#(user|sentinel) /\1 /' "$folder/sentinel.conf"
        for line in "${@:3}"; do echo "${line//PORT/$port}" >>"$folder/sentinel.conf"; done
        sentinels+=("$port")
        start "sentinel-$number" redis-server "$folder/sentinel.conf" --sentinel
    done
}
sentinel_places() { printf '%s\n' "${sentinels[@]/#/$1:}" | paste -sd,; }
# holds_sentinels COMMAND…: redis-cli, as who may ask.
holds_sentinels() {
    holds "sentinel: three see each other" contains '^.*num-other-sentinels 2' one_line "$@" -p "${sentinels[0]}" SENTINEL master feedd
    holds "sentinel: and the replica" contains 'num-slaves 1' one_line "$@" -p "${sentinels[0]}" SENTINEL master feedd
}
# The replica of compose.yaml, by its own command line with other paths: Redis itself gets the container's signals.
compose_replica() {
    local port script
    port=$(free_port)
    mkdir "$work/composed"
    script=$(sed -n '/^  redis-replica:/,/^  [a-z]*:$/p' deploy/compose.yaml | sed -n '/^      - |$/,/^    volumes:/{//!p}' |
        sed -E "s/^        //; s/\\$\\$/\$/g; s,/etc/redis/,$PWD/deploy/redis/,; s,/run/secrets/,$work/secrets/,; s,^dir .*,dir $work/composed,
            s,^unixsocket .*,unixsocket $work/composed.sock,; s/^bind .*/bind 127.0.0.1/; s/^replicaof .*/replicaof 127.0.0.1 $1/
            /^masterauth/a port $port\naclfile $work/users.acl")
    [[ $script == *masterauth* ]] || fail "the replica's command is not found in compose.yaml"
    start composed sh -c "$script"
    holds "compose's replica: it follows" contains '^master_link_status:up' admin composed INFO replication
    [ "$(cat "/proc/${pids[composed]}/comm")" = redis-server ] || fail "compose's replica: the first process is $(cat "/proc/${pids[composed]}/comm")"
    # Redis refuses to end before its first log is whole.
    holds "compose's replica: its log is whole" contains '^aof_rewrite_in_progress:0' admin composed INFO persistence
    kill "${pids[composed]}"
    holds "compose's replica: SIGTERM ends it" ended composed
    unset "pids[composed]"
}
one_line() { "$@" | tr '\n' ' '; }

tls() {
    make_authority
    certificate redis DNS:localhost
    certificate client DNS:client
    local port
    port=$(free_port)
    redis_port=$port
    # `port 0` is in tls.conf: the flag that start_redis gives comes before it.
    start_redis secure --include "$PWD/deploy/redis/tls.conf" --tls-port "$port" --tls-cert-file "$work/tls/redis.crt" \
        --tls-key-file "$work/tls/redis.key" --tls-ca-cert-file "$work/tls/ca.crt"
    local trust=(--redis-ca-file "$work/tls/ca.crt") own=(--redis-cert-file "$work/tls/client.crt" --redis-key-file "$work/tls/client.key")
    start_feedd over-tls --redis "rediss://localhost:$port" "${service[@]}" "${trust[@]}" "${own[@]}" --flux btcusdt:1s
    holds "TLS, with a certificate: ready" is_ready
    holds "TLS: candles are stored" stored secure 2
    end over-tls
    start_feedd without --redis "rediss://localhost:$port" "${service[@]}" "${trust[@]}" --flux btcusdt:1s
    holds "TLS, without a certificate: refused" grep -qi 'certificate' "$logs/without.log"
    refused is_ready >/dev/null 2>&1 || fail "it is ready without a certificate"
    end without
    start_feedd misnamed --redis "rediss://127.0.0.1:$port" "${service[@]}" "${trust[@]}" "${own[@]}" --flux btcusdt:1s
    holds "TLS, by a name that the certificate lacks: refused" grep -qiE 'certificate|host ?name|name' "$logs/misnamed.log"
    refused is_ready >/dev/null 2>&1 || fail "it is ready under a wrong name"
    end misnamed
    end secure
    redis_port=0
}

# As above, by TLS alone, with users at the Sentinels, and certificates that have a name in them and no address.
sentinel_over_tls() {
    local files line cli port trust sentinels
    files=("tls-cert-file $work/tls/redis.crt" "tls-key-file $work/tls/redis.key" "tls-ca-cert-file $work/tls/ca.crt")
    cli=(redis-cli -h localhost --tls --cacert "$work/tls/ca.crt" --cert "$work/tls/client.crt" --key "$work/tls/client.key")
    trust=(--redis-ca-file "$work/tls/ca.crt" --redis-cert-file "$work/tls/client.crt" --redis-key-file "$work/tls/client.key")
    start_secure first
    port=$redis_port
    start_secure second --replicaof localhost "$port"
    holds "TLS, replica: it follows" contains '^master_link_status:up' admin second INFO replication
    start_sentinels localhost "$port" "include $PWD/deploy/redis/sentinel-tls.conf" "tls-port PORT" "${files[@]}"
    holds "TLS, sentinel: nobody without a name" contains NOAUTH "${cli[@]}" -p "${sentinels[0]}" SENTINEL master feedd
    holds_sentinels env REDISCLI_AUTH="$(cat "$work/secrets/redis-peer")" "${cli[@]}" --user feed-peer
    start_feedd follower --redis "rediss+sentinel://$(sentinel_places localhost)/feedd" "${service[@]}" "${trust[@]}" --flux btcusdt:1s \
        --sentinel-user feed-search --sentinel-password-file "$work/secrets/redis-search"
    holds "TLS, feedd: it finds the primary by its Sentinels" is_ready
    holds "TLS, feedd: candles at the replica" stored second 2
    end first KILL
    holds "TLS, the primary is gone: the replica takes its place" contains '^role:master' admin second INFO replication
    holds "TLS, feedd: it follows" contains '^feedd_redis_failovers_total 1' curl -s "http://$ops/metrics"
    holds "TLS, feedd: and is ready" is_ready
    redis_port=$port
    start_secure first
    holds "TLS, the old primary comes back: as a replica" contains '^master_link_status:up' admin first INFO replication
    for line in 1 2 3; do
        contains '^user feed-search ' cat "$work/sentinel-$line/sentinel.conf" || fail "sentinel-$line has lost its users"
    done
    end follower
    holds "TLS, no user was refused anything" nobody_was_refused second
    for line in 1 2 3; do end "sentinel-$line"; done
    end first
    end second
    redis_port=0
}
# start_secure NAME FLAGS…: a server of `sentinel_over_tls`; with a port of its own, but where `redis_port` says which.
start_secure() {
    local name=$1
    shift
    [ "$name" = first ] || redis_port=$(free_port)
    [ "$redis_port" != 0 ] || redis_port=$(free_port)
    start_redis "$name" --include "$PWD/deploy/redis/tls.conf" --tls-port "$redis_port" --tls-cert-file "$work/tls/redis.crt" \
        --tls-key-file "$work/tls/redis.key" --tls-ca-cert-file "$work/tls/ca.crt" --masteruser feed-replica \
        --masterauth "$(cat "$work/secrets/redis-replica")" --replica-announce-ip localhost --repl-diskless-sync-delay 0 "$@"
}

# Three nodes by cluster.conf, as docs/scale-out.md makes them. The bus is 10,000 above each port.
cluster() {
    local node places=() nodes=(node-1 node-2 node-3)
    sed "s/^masterauth .*/masterauth $(cat "$work/secrets/redis-replica")/" deploy/redis/cluster.conf >"$work/cluster.conf"
    for node in "${nodes[@]}"; do
        redis_port=$(free_port)
        start_redis "$node" --include "$work/cluster.conf"
        places+=("127.0.0.1:$redis_port")
    done
    redis-cli --user admin --pass x --no-auth-warning --cluster create "${places[@]}" --cluster-yes >"$logs/cluster.log" 2>&1 ||
        fail "the cluster is not made: $logs/cluster.log"
    for node in "${nodes[@]}"; do holds "cluster, $node: all slots are there" contains '^cluster_state:ok' admin "$node" CLUSTER INFO; done
    start_feedd clustered --redis "redis+cluster://${places[0]},${places[1]}" "${service[@]}" --flux btcusdt,ethusdt,bnbusdt:1s,1m
    holds "cluster, feedd: ready" is_ready
    holds "cluster, feedd: a connection to each" contains '^feedd_redis_lanes_up 3' curl -s "http://$ops/metrics"
    holds "cluster, client: it is answered" "$program" list --redis "redis+cluster://${places[2]}" --redis-user feed-client \
        --redis-password-file "$work/secrets/redis-client"
    holds "cluster, reader: it is led to the node" contains close as reader -c -h 127.0.0.1 -p "${places[0]##*:}" \
        XREVRANGE 'candles:{btcusdt}:1s' + - COUNT 1
    # The cluster's clients of other languages ask for both when they connect.
    holds "cluster, reader: who owns what" contains '^[0-9]' as reader -p "${places[0]##*:}" CLUSTER SLOTS
    holds "cluster, reader: what commands there are" contains '^[0-9]' as reader -p "${places[0]##*:}" COMMAND COUNT
    for node in "${nodes[@]}"; do holds "cluster, $node: no user was refused anything" nobody_was_refused "$node"; done
    end clustered
    for node in "${nodes[@]}"; do end "$node"; done
    redis_port=0
}
