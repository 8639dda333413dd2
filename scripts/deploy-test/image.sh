# The image, built and run. Sourced by deploy-test.sh.

part_image() {
    if [ "$(id -u)" -ne 0 ]; then skip "the image is built as root here"; return; fi
    for command in buildah mmdebstrap setpriv; do
        has $command || { skip "$command is not installed (apt-get install buildah mmdebstrap)"; return; }
    done
    local storage=$cache/storage container mounted
    buildah() { command buildah --root "$storage" --runroot "$work/run" --storage-driver vfs "$@"; }
    # What a registry would give.
    [ -e "$cache/base.tar" ] || step "a base image by mmdebstrap" mmdebstrap --variant=minbase bookworm "$cache/base.tar"
    rm -rf "$storage"
    container=$(buildah from scratch)
    buildah add -q "$container" "$cache/base.tar" / >/dev/null
    buildah commit -q --rm "$container" docker.io/library/debian:bookworm-slim >>"$logs/image.log" 2>&1
    mkdir -p "$work/build/out"
    strip -o "$work/build/out/feedd" "$program"
    # The stage that compiles is replaced by what it would leave: its image is Swift's own.
    buildah bud --isolation chroot --format docker --pull=never --build-context build="$work/build" -f deploy/Dockerfile -t feedd . \
        >>"$logs/image.log" 2>&1 || fail "the image is not built: $logs/image.log"
    say "  built: $(buildah images --format '{{.Size}}' localhost/feedd)"
    buildah inspect --type image --format '{{.Docker.Config.User}} {{.Docker.Config.Healthcheck.Test}} {{.Docker.Config.Entrypoint}}' feedd \
        >"$work/inspected"
    [ "$(cat "$work/inspected")" = "65532:65532 [CMD feedd health --ready] [feedd]" ] || fail "the image says: $(cat "$work/inspected")"
    container=$(buildah from --pull=never localhost/feedd)
    mounted=$(buildah mount "$container")
    make_users --containers
    start_exchange
    start_redis primary
    ops=127.0.0.1:$(free_port)
    # As compose.yaml runs it: read-only root, nobody's rights, no capabilities, secrets in files, its settings in the environment.
    cat >"$work/enter" <<'END'
set -e
root=$1 secrets=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t tmpfs -o size=1m tmpfs "$root/run"
mkdir "$root/run/secrets"
mount --bind "$secrets" "$root/run/secrets"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs --bounding-set -all --inh-caps -all "$@"
END
    chmod 755 "$work/secrets"
    inside() {
        unshare --mount sh "$work/enter" "$mounted" "$work/secrets" env -i PATH=/usr/bin FEEDD_REDIS="redis://feed-service@127.0.0.1:$redis_port" \
            FEEDD_REDIS_PASSWORD_FILE=/run/secrets/redis-service FEEDD_OPS="0.0.0.0:${ops##*:}" FEEDD_OPS_HOST=localhost,127.0.0.1,feedd \
            FEEDD_OPS_TOKEN_FILE=/run/secrets/token FEEDD_OPS_REDIS_USER=feed-ops FEEDD_OPS_REDIS_PASSWORD_FILE=/run/secrets/redis-ops \
            FEEDD_VENUE_WS="ws://$exchange" FEEDD_VENUE_REST="http://$exchange" "$@"
    }
    refused inside sh -c ': >/tmp/x' 2>>"$logs/checks.log" || fail "the root is not read-only"
    says 65532 inside id -u || fail "it runs as somebody else"
    # exec, so that the process id is feedd's.
    start container bash -c "$(declare -f inside | sed 's/unshare/exec unshare/'); work=$work mounted=$mounted redis_port=$redis_port ops=$ops exchange=$exchange; inside feedd run"
    holds "health inside: 0" inside feedd health --ready "http://$ops"
    [ "$(awk '/^Uid/ { print $2 }' "/proc/${pids[container]}/status")" = 65532 ] || fail "feedd runs as somebody else"
    holds "a flux by a command inside" inside feedd create btcusdt 1s
    holds "candles are stored" stored primary 3
    holds "no user was refused anything" nobody_was_refused primary
    local code=0
    kill "${pids[container]}"
    holds "SIGTERM: it ends" ended container
    wait "${pids[container]}" || code=$?
    unset "pids[container]"
    [ $code -eq 0 ] || fail "it ends with $code"
    for name in exchange primary; do end $name; done
    redis_port=0
    buildah umount "$container" >/dev/null
    rm -rf "$storage"
}
