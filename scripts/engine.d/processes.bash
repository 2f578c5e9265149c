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

stop_pid() {
    local pid=$1 tenths=${2:-150}
    kill -TERM "$pid" 2>/dev/null || return 0
    while alive "$pid"; do
        if ((tenths-- == 0)); then
            kill -KILL "$pid" 2>/dev/null || true
            sleep 0.2
            return
        fi
        sleep 0.1
    done
}

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
    local tenths=$(($1 * 10))
    shift
    until "$@"; do
        ((tenths-- > 0)) || return 1
        sleep 0.1
    done
}
