# shellcheck shell=bash disable=SC2154
# Debian packages without installing them: a private apt state with the
# machine's own sources for other suites, `apt-get download`, `dpkg --extract`.

private_apt() {
    local tool=$1
    shift
    DEBIAN_FRONTEND=noninteractive "$tool" --quiet=2 \
        --option Dir::State="$home/apt/state" \
        --option Dir::Cache="$home/apt/cache" \
        --option Dir::Cache::pkgcache=pkgcache.bin \
        --option Dir::Cache::srcpkgcache=srcpkgcache.bin \
        --option Dir::Etc::SourceList=/dev/null \
        --option Dir::Etc::SourceParts="$home/apt/sources" \
        --option Dir::State::Status=/dev/null \
        --option APT::Sandbox::User="$(id -un)" "$@"
}

# deb822 stanzas for a Debian suite, from the machine's sources for its own.
debian_sources() {
    local suite=$1 own uri release keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    own=$(. /etc/os-release && [[ $ID == debian ]] && echo "$VERSION_CODENAME") ||
        fail "packages come from Debian, and this is another system: $no_debian_hint"
    # shellcheck disable=SC2016  # apt's placeholders
    apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        sort -u | while read -r uri release component; do
        release=${release/#oldstable/"$own"}
        release=${release/#stable/"$own"}
        case $component:$release in
        main:"$own" | main:"$own"-updates | main:"$own"-security)
            printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$uri" "$suite${release#"$own"}"
            if [[ -e $keyring ]]; then printf 'Signed-By: %s\n' "$keyring"; fi
            echo
            ;;
        esac
    done
}

# Where packages come from and what is in them; once, or again with `again`.
update_sources() {
    local suite
    command -v apt-get >/dev/null || fail "no apt-get here: $no_debian_hint"
    mkdir -p "$home"/apt/{sources,state/lists/partial,cache/archives/partial}
    if [[ -e $home/apt/updated && ${1:-} != again ]]; then return; fi
    for suite in bookworm trixie; do
        debian_sources "$suite" >"$home/apt/sources/$suite.sources"
    done
    [[ -s $home/apt/sources/bookworm.sources ]] || fail "no Debian source found in the machine's apt configuration"
    private_apt apt-get update
    touch "$home/apt/updated"
}

# fetch_packages STAMP PACKAGE/SUITE...: download and unpack into $into, else $root, once.
fetch_packages() {
    local folder=$home/downloads/$1 stamp=$home/downloads/$1.done target=${into:-$root} deb
    shift
    if [[ -e $stamp ]]; then return; fi
    say "downloading ${*%%/*}"
    update_sources
    mkdir -p "$home/downloads" "$target"
    rm -rf "$folder"
    mkdir "$folder"
    (cd "$folder" && private_apt apt-get download "$@") ||
        (update_sources again && cd "$folder" && private_apt apt-get download "$@")
    for deb in "$folder"/*.deb; do dpkg --extract "$deb" "$target"; done
    touch "$stamp"
}

# fetch_source FOLDER PACKAGE: download bookworm's source of a package.
fetch_source() {
    update_sources
    debian_sources bookworm | sed 's/^Types: deb$/Types: deb-src/' >"$home/apt/sources/source.sources"
    private_apt apt-get update
    mkdir -p "$1"
    (cd "$1" && private_apt apt-get source --download-only "$2")
}

fetch_engine_packages() {
    # trixie's Docker runs on bookworm's libc; its runc does not.
    fetch_packages engine {docker.io,docker-cli,docker-buildx,containerd}/trixie \
        {runc,tini,libseccomp2}/bookworm \
        {iptables,libip4tc2,libip6tc2,libxtables12,libmnl0,libnetfilter-conntrack3,libnfnetlink0,libnftnl11}/bookworm
    mkdir -p "$bin" "$home/sbin" "$config/cli-plugins"
    ln -sf "$root/usr/bin/docker" "$bin/docker"
    ln -sf "$root"/usr/lib*/docker/cli-plugins/docker-buildx "$config/cli-plugins/"
    [[ -e $config/config.json ]] || echo '{}' >"$config/config.json"
}

fetch_registry_package() { fetch_packages registry docker-registry/bookworm; }

fetch_emulator_package() { fetch_packages emulator qemu-user-static/bookworm; }

fetch_bootstrap_packages() {
    local perl
    fetch_packages bootstrap mmdebstrap/bookworm
    # A small Debian has Perl without the modules that mmdebstrap uses.
    if ! perl -c "$root/usr/bin/mmdebstrap" &>/dev/null; then
        # shellcheck disable=SC2016  # Perl's variable
        perl=$(perl -e 'printf "%vd", $^V')
        perl=${perl%.*}
        fetch_packages perl {"perl-modules-$perl","libperl$perl"}"/$(. /etc/os-release && echo "$VERSION_CODENAME")"
    fi
}

# PERL5LIB with the modules unpacked, empty when the system has its own.
private_perl() {
    if [[ -e $home/downloads/perl.done ]]; then
        printf '%s:' "$root"/usr/share/perl/5.* "$root"/usr/lib/*/perl/5.*
    fi
}
