# shellcheck shell=bash disable=SC2154
# The local registries: Debian's docker-registry, or containers of an existing
# Docker.

# The status of a request without curl, 0 for no answer: http_status METHOD PORT PATH
http_status() {
    local status='' descriptor
    {
        if exec {descriptor}<>"/dev/tcp/127.0.0.1/$2"; then
            printf '%s %s HTTP/1.0\r\nHost: localhost:%s\r\nAccept: %s\r\n\r\n' "$1" "$3" "$2" \
                'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json' >&"$descriptor"
            read -r -t 5 -u "$descriptor" _ status _ || true
            exec {descriptor}>&-
        fi
    } 2>/dev/null
    printf '%s\n' "${status:-0}"
}

registry_answers() { [[ $(http_status GET "$1" /v2/) == 200 ]]; }

registry_container() { printf 'imagebuilder-engine-registry-%s\n' "$1"; }

# Next to an existing engine (maybe in a virtual machine) a container is best.
start_registry_container() {
    [[ $(mode) == existing ]] || return 1
    existing_docker rm --force "$(registry_container "$1")" &>/dev/null || true
    existing_docker run --detach --name "$(registry_container "$1")" \
        --publish "127.0.0.1:$1:5000" --env REGISTRY_STORAGE_DELETE_ENABLED=true \
        --volume "$(registry_container "$1"):/var/lib/registry" registry:2 &>"$home/registry-$1.log"
}

start_registry() {
    local port=$1
    if registry_answers "$port"; then return; fi
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then fail "port $port is taken by something else"; fi
    say "starting a registry on localhost:$port"
    if ! start_registry_container "$port"; then
        fetch_registry_package
        cat >"$home/registry-$port.yml" <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $home/data/registry-$port}
  delete: {enabled: true}
http: {addr: "127.0.0.1:$port", secret: imagebuilder}
YAML
        spawn "$home/registry-$port.log" "$root/usr/bin/docker-registry" serve "$home/registry-$port.yml"
        echo "$spawned" >"$run/registry-$port.pid"
    fi
    wait_for 15 registry_answers "$port" || fail "no registry on port $port (see $home/registry-$port.log)"
}

stop_registry() {
    local pid port=$1
    if pid=$(live_pid "$run/registry-$port.pid" docker-registry); then stop_pid "$pid"; fi
    if [[ $(mode) == existing ]]; then
        existing_docker rm --force "$(registry_container "$port")" &>/dev/null || true
    fi
    rm -f "$run/registry-$port.pid"
}
