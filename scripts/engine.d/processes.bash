# shellcheck shell=bash disable=SC2154
# Daemons: starting, finding and ending them without an init system.

# Run a command as a daemon that holds nothing of the caller's: own session,
# no inherited descriptor (the lock, CI's pipes).  spawn LOG COMMAND...
spawn() {
    local log=$1 fd
    shift
    (
        cd /
        for fd in /proc/"$BASHPID"/fd/*; do
            fd=${fd##*/}
            if ((fd > 2)); then eval "exec $fd>&-"; fi
        done
        exec setsid "$@" </dev/null >>"$log" 2>&1
    ) &
    spawned=$!
    disown "$spawned"
}

# The process id in a pid file if that process lives and is the named program
# (pid files outlive a killed machine, and pids are used again).
live_pid() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 1
    alive "$pid" && [[ $(cat "/proc/$pid/comm") == "$2"* ]] && printf '%s\n' "$pid"
}

alive() { [[ -e /proc/$1/exe ]]; } # and no zombie: those have no program

# Whether all of a process is gone, its ports and files too: it has no program
# some time before it closes them, and its other threads may take longer still.
gone() {
    local threads=(/proc/"$1"/task/*)
    ((${#threads[@]} == 0)) || { ((${#threads[@]} == 1)) && [[ $(<"/proc/$1/stat") == *") Z "* ]]; } 2>/dev/null
}

# stop_pid PID [SECONDS]: kill it when it has not ended by then
stop_pid() {
    local pid=$1
    kill -TERM "$pid" 2>/dev/null || return 0
    wait_for "${2:-15}" gone "$pid" && return
    kill -KILL "$pid" 2>/dev/null || true
    wait_for 15 gone "$pid" || true
}

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS <= end)) || return 1
        sleep 0.1
    done
}
