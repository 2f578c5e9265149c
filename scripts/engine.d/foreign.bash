# shellcheck shell=bash disable=SC2154
# Other tools that pull and run images, for the tests that images please all of
# them: podman, skopeo, and ctr for the engine's own containerd.

readonly foreign=$home/foreign

fetch_foreign_packages() {
    into=$foreign/root fetch_packages foreign {podman,skopeo,conmon,runc,libseccomp2,libsubid4}/bookworm \
        {libgpgme11,libassuan0,libgpg-error0,libdevmapper1.02.1,libglib2.0-0}/bookworm
    if [[ -d $foreign/root/lib ]]; then # Debian has one /usr/lib
        cp -a "$foreign/root/lib/." "$foreign/root/usr/lib/"
        rm -rf "$foreign/root/lib"
    fi
}

# A command that sees the unpacked packages in /usr: programs that are started
# by others find their libraries, and nobody else sees any of it.
write_foreign_tool() {
    local name=$1
    shift
    cat >"$foreign/bin/$name" <<SH
#!/bin/sh
export CONTAINERS_CONF='$foreign/containers.conf' CONTAINERS_REGISTRIES_CONF='$foreign/registries.conf'
exec unshare --mount sh -c 'mount -t overlay -o "lowerdir=$foreign/root/usr:/usr" overlay /usr && exec "\$@"' \\
    $name $name $* "\$@"
SH
    chmod +x "$foreign/bin/$name"
}

provide_foreign_tools() {
    local port
    fetch_foreign_packages
    mkdir -p "$foreign/bin"
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$foreign/policy.json"
    for port in "${ports[@]}"; do
        printf '[[registry]]\nlocation = "localhost:%s"\ninsecure = true\n' "$port"
    done >"$foreign/registries.conf"
    # No network of its own, and no limits that a machine without an init system cannot raise.
    cat >"$foreign/containers.conf" <<TOML
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
TOML
    write_foreign_tool podman --root "'$foreign/storage'" --runroot "'$run/podman'" --storage-driver overlay
    write_foreign_tool skopeo --policy "'$foreign/policy.json'"
    cat >"$foreign/bin/ctr" <<SH
#!/bin/sh
exec ${daemon_env[*]} ctr --address '$run/exec/containerd/containerd.sock' "\$@"
SH
    chmod +x "$foreign/bin/ctr"
}
