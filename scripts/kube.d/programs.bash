# shellcheck shell=bash disable=SC2154
# The cluster's programs: packages of Debian where it has them, else built from
# Debian's source package of Kubernetes (complete, with all it needs) by
# Debian's Go.

readonly kube_version=1.20.2

provide_programs() {
    # containerd as for the engine; openssl for the keys
    fetch_packages node containerd/trixie {runc,libseccomp2}/bookworm \
        {etcd-server,containernetworking-plugins,openssl,libssl3}/bookworm
    if [[ $(cat "$bin/version" 2>/dev/null) != "$kube_version" ]]; then build_programs; fi
}

build_programs() {
    local build=$home/build
    rm -rf "$build" "$home"/downloads/build{,.done} # what a killed build left
    mkdir -p "$build/bin"
    say "building Kubernetes $kube_version (some minutes, once)"
    unpack_source "$build/go/src/k8s.io/kubernetes" || fail "the source of Kubernetes cannot be had"
    compile "$build" &>"$home/build.log" || {
        tail -n 20 "$home/build.log" >&2
        fail "Kubernetes does not build (the log: $home/build.log)"
    }
    echo "$kube_version" >"$build/bin/version"
    rm -rf "$bin"
    mv "$build/bin" "$bin"
    rm -rf "$build" "$home"/downloads/build{,.done}
}

# Debian's patches are for kubectl alone, which is not built.
unpack_source() {
    local tree=$1 build=$home/build root=$home/build/root
    fetch_packages build golang-1.19-{go,src}/bookworm golang-github-modern-go-reflect2-dev/bookworm
    fetch_source "$build/source" kubernetes
    mkdir -p "$tree"
    tar --extract --gzip --file "$(echo "$build"/source/*.orig.tar.gz)" --strip-components=1 --directory "$tree"
    # The one in the source makes the API server crash when built by Go 1.18 or later.
    rm -rf "$tree/vendor/github.com/modern-go/reflect2"
    cp -r "$root/usr/share/gocode/src/github.com/modern-go/reflect2" "$tree/vendor/github.com/modern-go/"
}

compile() (
    build=$1
    tree=$build/go/src/k8s.io/kubernetes
    set -e
    export GOROOT=$build/root/usr/lib/go-1.19 GOPATH=$build/go GOCACHE=$build/cache HOME=$build
    export GO111MODULE=off CGO_ENABLED=0 GOPROXY=off GOFLAGS=
    go() { nice "$GOROOT/bin/go" "$@"; }
    go build -o "$build/bin/pause" "$here/kube.d/pause.go"
    cd "$tree"
    go build -o "$build/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
    nice "$build/openapi-gen" -i "$(documented_packages)" -p k8s.io/kubernetes/pkg/generated/openapi \
        -O zz_generated.openapi -h hack/boilerplate/boilerplate.generatego.txt --output-base "$GOPATH/src"
    version=k8s.io/component-base/version
    go build -o "$build/bin/" -ldflags "-s -w \
        -X $version.gitVersion=v$kube_version -X $version.gitMajor=1 -X $version.gitMinor=20 \
        -X k8s.io/client-go/pkg/version.gitVersion=v$kube_version" \
        ./cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet}
)

# The packages whose types the API server describes, with commas between.
documented_packages() {
    grep --recursive --files-with-matches --include='*.go' --exclude='*_test.go' '+k8s:openapi-gen=' \
        pkg cmd staging/src/k8s.io |
        grep -vE '/(code-generator|sample-apiserver|testdata|examples)/' |
        sed 's,/[^/]*$,,; s,^staging/src/,vendor/,; s,^,k8s.io/kubernetes/,' | sort -u | paste -sd ,
}
