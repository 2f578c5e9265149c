# shellcheck shell=bash disable=SC2154
# etcd, the API server, the controllers and the scheduler: on the loopback alone.

readonly etcd_port=16379 etcd_peer_port=16380 api_port=16443 controllers_port=16257 scheduler_port=16259

start_control_plane() {
    write_keys
    write_kubeconfig
    running etcd || start etcd --data-dir "$state/etcd" --logger zap --log-level warn \
        --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
        --listen-peer-urls "http://127.0.0.1:$etcd_peer_port" \
        --initial-advertise-peer-urls "http://127.0.0.1:$etcd_peer_port" \
        --initial-cluster "default=http://127.0.0.1:$etcd_peer_port"
    ready 60 etcd etcd_ready
    # TTLAfterFinished: Jobs that end are removed, which later versions do by default
    running kube-apiserver || start kube-apiserver \
        --etcd-servers "http://127.0.0.1:$etcd_port" \
        --bind-address 127.0.0.1 --secure-port "$api_port" --advertise-address "$(machine_address)" \
        --service-cluster-ip-range 10.213.0.0/24 --cert-dir "$state/apiserver" \
        --token-auth-file "$state/tokens.csv" --anonymous-auth=false \
        --authorization-mode RBAC --disable-admission-plugins ServiceAccount --allow-privileged \
        --service-account-issuer https://imagebuilder.invalid \
        --service-account-key-file "$state/accounts.key" --service-account-signing-key-file "$state/accounts.key" \
        --kubelet-client-certificate "$state/kubelet-client.crt" --kubelet-client-key "$state/kubelet-client.key" \
        --kubelet-preferred-address-types InternalIP --feature-gates TTLAfterFinished=true
    ready 180 kube-apiserver api_ready
    running kube-controller-manager || start kube-controller-manager \
        --kubeconfig "$kubeconfig" --leader-elect=false --bind-address 127.0.0.1 --port 0 \
        --secure-port "$controllers_port" --cert-dir "$state/controllers" \
        --controllers '*,-nodeipam,-cloud-node-lifecycle,-route,-service' --feature-gates TTLAfterFinished=true
    running kube-scheduler || start kube-scheduler \
        --kubeconfig "$kubeconfig" --leader-elect=false --bind-address 127.0.0.1 --port 0 \
        --secure-port "$scheduler_port" --cert-dir "$state/scheduler"
}

# Keys, a certificate by which kubelet knows the API server, and the users' tokens.
write_keys() {
    if [[ -e $state/tokens.csv ]]; then return; fi
    (
        umask 077
        "${daemon_env[@]}" openssl genrsa -out "$state/accounts.key" 2048
        "${daemon_env[@]}" openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /O=system:masters/CN=kube-apiserver \
            -addext extendedKeyUsage=clientAuth -keyout "$state/kubelet-client.key" -out "$state/kubelet-client.crt"
        # one who may do anything, and one who may do what a test allows
        printf '%s,admin,admin,system:masters\n%s,somebody,somebody\n' \
            "$("${daemon_env[@]}" openssl rand -hex 24)" "$("${daemon_env[@]}" openssl rand -hex 24)" >"$state/tokens.csv"
    ) 2>"$state/keys.log" || fail "no keys can be made (the log: $state/keys.log)"
}

# The API server makes its own certificate when it first starts.
write_kubeconfig() {
    local token other
    if [[ -e $kubeconfig ]]; then return; fi
    token=$(sed -n 's/,admin,.*//p' "$state/tokens.csv")
    other=$(sed -n 's/,somebody,.*//p' "$state/tokens.csv")
    (
        umask 077
        cat >"$kubeconfig.part" <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: imagebuilder
    cluster: {server: "https://127.0.0.1:$api_port", certificate-authority: "$state/apiserver/apiserver.crt"}
users:
  - name: admin
    user: {token: "$token"}
  - name: somebody
    user: {token: "$other"}
contexts:
  - name: imagebuilder
    context: {cluster: imagebuilder, user: admin}
  - name: somebody
    context: {cluster: imagebuilder, user: somebody}
current-context: imagebuilder
YAML
    )
    mv "$kubeconfig.part" "$kubeconfig"
}

# The address other than the loopback's that Kubernetes asks for.
machine_address() {
    local address
    address=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 -E '^[0-9.]+$') ||
        fail "this machine has no IPv4 address beside the loopback's"
    printf '%s\n' "$address"
}

# api PATH: what the API server answers, in JSON
api() {
    python3 - "$api_port" "$state" "$1" <<'PYTHON' 2>/dev/null
import pathlib, ssl, sys, urllib.request
port, state, path = sys.argv[1:]
token = pathlib.Path(state, "tokens.csv").read_text().split(",")[0]
trust = ssl.create_default_context(cafile=f"{state}/apiserver/apiserver.crt")
request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
print(opener.open(request, timeout=5).read().decode())
PYTHON
}

etcd_ready() { (exec 3<>"/dev/tcp/127.0.0.1/$etcd_port") 2>/dev/null; }

api_ready() { [[ $(api /readyz) == ok ]]; }
