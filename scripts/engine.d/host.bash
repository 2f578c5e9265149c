# shellcheck shell=bash disable=SC2154,SC2034
# What container daemons need of the machine, and what they leave on it.

# Containers need the cgroup controllers; without an init system none are mounted.
mount_cgroups() {
    if ! grep -q ' - cgroup2\? ' /proc/self/mountinfo; then
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        echo /sys/fs/cgroup >>"$run/mounts"
    fi
}

# Take back what was mounted for the daemons.
unmount_own() {
    local target
    if [[ -e $run/mounts ]]; then
        while read -r target; do umount "$target" 2>/dev/null || true; done < <(tac "$run/mounts")
    fi
}

unmount_under() {
    local target
    awk '{print $5}' /proc/self/mountinfo | tac | while read -r target; do
        if [[ $target == "$1" || $target == "$1"/* ]]; then umount -l "$target" 2>/dev/null || true; fi
    done
}

# Set daemon_env, for env(1): run the unpacked programs with their libraries.
set_daemon_env() {
    local libraries plugins
    libraries=$(printf '%s:' "$root"/usr/lib/*-linux-gnu "$root"/lib/*-linux-gnu)
    plugins=$(printf '%s\n' "$root"/usr/lib/*-linux-gnu/xtables | head -n 1)
    daemon_env=(
        env "PATH=$root_path:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        "LD_LIBRARY_PATH=${libraries%:}" "XTABLES_LIBDIR=$plugins"
    )
}

# A killed daemon leaves containerd and shims, and these containers: end those
# with this path in their command line, and their children.
kill_leftovers() {
    local path pid
    grep --files-with-matches --no-messages --fixed-strings -- "$1" /proc/[0-9]*/cmdline | while read -r path; do
        pid=${path//[!0-9]/}
        xargs --no-run-if-empty kill -KILL 2>/dev/null < <(cat "/proc/$pid"/task/*/children 2>/dev/null) || true
        stop_pid "$pid" 2
    done || true # grep found none
}
