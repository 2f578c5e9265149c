# shellcheck shell=bash disable=SC2154
# The node: containerd, its network, and kubelet.

readonly node_name=imagebuilder pause_image=imagebuilder.invalid/pause:1
readonly kubelet_port=16250 kubelet_health_port=16248
# kubelet's fixed places, and what it sets in the kernel
readonly kubelet_logs=(/var/log/pods /var/log/containers) cni_results=/var/lib/cni
readonly kernel_settings=(
    vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes net/ipv4/ip_forward
)

start_node() {
    remember_machine
    if ! running containerd; then
        write_containerd_config
        start containerd --config "$state/containerd.toml"
        ready 60 containerd containerd_answers
        import_pause_image
    fi
    if ! running kubelet; then
        write_kubelet_config
        start kubelet --config "$state/kubelet.yaml" --kubeconfig "$kubeconfig" \
            --hostname-override "$node_name" --node-ip "$(machine_address)" \
            --root-dir "$state/kubelet" --cert-dir "$state/kubelet/pki" \
            --container-runtime remote --container-runtime-endpoint "unix://$run/containerd.sock"
    fi
    ready 180 kubelet node_ready
}

containerd_answers() { ctr version &>/dev/null; }

ctr() { "${daemon_env[@]}" ctr --address "$run/containerd.sock" --namespace k8s.io "$@"; }

write_containerd_config() {
    mkdir -p "$state/cni"
    cat >"$state/containerd.toml" <<TOML
version = 2
root = "$state/containerd"
state = "$run/containerd"
disabled_plugins = ["io.containerd.internal.v1.tracing", "io.containerd.nri.v1.nri"]

[grpc]
  address = "$run/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "$state/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause_image"
  # without CAP_SYS_RESOURCE no process may have a lower score than this one
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$root/usr/lib/cni"
    conf_dir = "$state/cni"

  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."localhost:5000"]
    endpoint = ["http://127.0.0.1:5000"]
TOML
    # Pods reach this machine, and it them; nothing of it outlives a pod.
    cat >"$state/cni/10-pods.conflist" <<JSON
{
  "cniVersion": "0.4.0",
  "name": "imagebuilder-kube",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "10.214.0.0/16"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "$state/addresses"
      }
    }
  ]
}
JSON
}

# The image of one file, as an archive of Docker's form.
import_pause_image() {
    local work=$state/pause
    mkdir -p "$work"
    tar --create --file "$work/layer.tar" --directory "$bin" pause
    printf '{"architecture": "%s", "os": "linux", "config": {"Entrypoint": ["/pause"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' \
        "$(dpkg --print-architecture)" "$(sha256sum <"$work/layer.tar" | cut -d ' ' -f 1)" >"$work/config.json"
    printf '[{"Config": "config.json", "RepoTags": ["%s"], "Layers": ["layer.tar"]}]' "$pause_image" >"$work/manifest.json"
    tar --create --file "$work/image.tar" --directory "$work" manifest.json config.json layer.tar
    ctr images import "$work/image.tar" &>"$work/log" || fail "containerd does not take the pause image (the log: $work/log)"
}

write_kubelet_config() {
    cat >"$state/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: "$(machine_address)"
port: $kubelet_port
healthzPort: $kubelet_health_port
# The API server alone may ask for anything here.
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: "$state/kubelet-client.crt"}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
makeIPTablesUtilChains: false
volumePluginDir: "$state/kubelet/volume-plugins"
featureGates: {DevicePlugins: false}
# The machine is the tests' own, and often nearly full.
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
# Tests wait for what this node reports.
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
YAML
}

node_ready() {
    api "/api/v1/nodes/$node_name" | python3 -c '
import json, sys
conditions = json.load(sys.stdin)["status"]["conditions"]
sys.exit(not any(c["type"] == "Ready" and c["status"] == "True" for c in conditions))' 2>/dev/null
}

# --- what the machine had before --------------------------------------------------

remember_machine() {
    local setting folder
    if [[ -e $run/machine ]]; then return; fi
    for setting in "${kernel_settings[@]}"; do
        if [[ -r /proc/sys/$setting ]]; then echo "setting $setting $(cat "/proc/sys/$setting")"; fi
    done >"$run/machine.part"
    for folder in "${kubelet_logs[@]}" "$cni_results"; do
        if [[ ! -e $folder ]]; then echo "folder $folder"; fi
    done >>"$run/machine.part"
    mv "$run/machine.part" "$run/machine"
}

clear_node() {
    local kind name value
    unmount_under "$run/containerd"
    unmount_under "$state"
    if [[ ! -e $run/machine ]]; then return; fi
    while read -r kind name value; do
        case $kind in
        setting) echo "$value" >"/proc/sys/$name" ;;
        folder) rm -rf --one-file-system "$name" ;;
        esac
    done <"$run/machine"
    find /sys/fs/cgroup -depth -type d -path '*/k8s.io*' -exec rmdir {} + 2>/dev/null || true
}
