# shellcheck shell=bash disable=SC2154
# Base images for machines where Docker Hub is out of reach: made of Debian
# packages by mmdebstrap, named and configured as the official ones, pushed to
# the first registry, which the engine uses as its mirror of Docker Hub.

readonly bases=$home/bases epoch=1735689600
#  image                      dockerfile  suite     architectures
readonly base_images=(
    "python:3.11-slim-bookworm python bookworm both"
    "python:3.13-slim-trixie python trixie native"
    "debian:bookworm-slim debian bookworm both"
)

native_arch() { dpkg --print-architecture; }
foreign_arch() { if [[ $(native_arch) == amd64 ]]; then echo arm64; else echo amd64; fi; }

# --- emulation of the other architecture ---------------------------------------

readonly binfmt=/proc/sys/fs/binfmt_misc binfmt_entry=imagebuilder-engine

emulation_registered() {
    local cpu=aarch64
    if [[ $(foreign_arch) == amd64 ]]; then cpu=x86_64; fi
    [[ -e $binfmt/$binfmt_entry || -e $binfmt/qemu-$cpu ]]
}

register_emulation() {
    local cpu=aarch64 zeros='\x00\x00\x00\x00\x00\x00\x00\x00\x00' machine='\xb7' # ELF header: 64 bits, little endian, machine
    if emulation_registered || [[ $platforms == native ]]; then return 0; fi
    if [[ $(foreign_arch) == amd64 ]]; then cpu=x86_64 machine='\x3e'; fi
    if [[ ! -e $binfmt/register ]]; then
        mount -t binfmt_misc binfmt_misc "$binfmt" 2>/dev/null || {
            say "no emulation of $(foreign_arch): this kernel has no binfmt_misc"
            return 0
        }
        echo "$binfmt" >>"$run/mounts"
    fi
    if emulation_registered; then return 0; fi # by another, before the mount
    fetch_emulator_package
    # F: the kernel opens the emulator now, so that it works in containers too
    if printf '%s' ":$binfmt_entry:M::\x7fELF\x02\x01\x01$zeros\x02\x00$machine\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:$root/usr/bin/qemu-$cpu-static:OCF" \
        >"$binfmt/register"; then
        touch "$run/emulation"
    else
        say "no emulation of $(foreign_arch): the kernel refuses qemu"
    fi
}

unregister_emulation() {
    if [[ -e $run/emulation && -e $binfmt/$binfmt_entry ]]; then echo -1 >"$binfmt/$binfmt_entry"; fi
}

# --- root file systems ---------------------------------------------------------

# make_rootfs TAR DOCKERFILE SUITE ARCHITECTURE
make_rootfs() {
    local tar=$1 kind=$2 suite=$3 arch=$4 native hook=--customize-hook options=()
    if [[ -e $tar ]]; then return; fi
    if [[ $kind == python ]]; then options+=('--include=ca-certificates,python3,python3-venv'); fi
    if [[ $arch == "$(native_arch)" ]] || emulation_registered; then
        options+=(--variant=minbase)
    else # nothing of it can run here: unpack only, and take over what the native one configured
        native=${tar%-*}-$(native_arch).tar
        hook=--extract-hook # the last hook of this variant
        options+=(
            --variant=extract --hook-dir="$root/usr/share/mmdebstrap/hooks/merged-usr"
            '--include=?essential' '--include=?priority(required)' --include=apt
            "$hook=tar --directory=\"\$1\" --extract --file='$native' ./etc"
            "$hook=rm \"\$1/etc/apt/sources.list.d/debian.sources\""
        )
    fi
    # The official images have Python in /usr/local/bin.
    # shellcheck disable=SC2016  # mmdebstrap's shell expands it
    if [[ $kind == python ]]; then
        options+=(
            "$hook"'=mkdir -p "$1/usr/local/bin"'
            "$hook"'=ln -s /usr/bin/python3 "$1/usr/local/bin/python3"'
            "$hook"'=ln -s python3 "$1/usr/local/bin/python"'
        )
    fi
    # What the machine sets for apt (proxy, validity of old indexes) holds in the image.
    apt-config dump Acquire | grep -E '^Acquire::(Check-|[a-z]+::Proxy)' >"$tar.apt" || true
    # shellcheck disable=SC2016  # mmdebstrap's shell expands it
    env PATH="$root/usr/bin:$PATH:/usr/sbin:/sbin" PERL5LIB="$(private_perl)" \
        SOURCE_DATE_EPOCH=$epoch TMPDIR="$bases" \
        mmdebstrap --quiet --architectures="$arch" "${options[@]}" \
        --aptopt="$tar.apt" \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        "$hook"'=cd "$1/etc/apt" && mv sources.list.d/*.sources sources.list.d/debian.sources && rm -f sources.list' \
        "$hook"'=rm -rf "$1"/var/cache/apt/* "$1"/var/cache/ldconfig/* "$1"/var/log/* "$1"/var/lib/apt/lists/*' \
        --skip=output/dev,check/qemu \
        "$suite" "$tar.part.tar" "$home/apt/sources/$suite.sources" &>"$tar.log" || {
        tail -n 20 "$tar.log" >&2
        fail "mmdebstrap of $kind for $suite, $arch does not succeed"
    }
    mv "$tar.part.tar" "$tar"
}

architectures() {
    native_arch
    # an existing engine may not hold several platforms under one name
    if [[ $1 == both && $platforms == all && $(mode) == own ]]; then foreign_arch; fi
}

# Make the missing root file systems of some images, at the same time.
make_rootfs_of() {
    local image kind suite archs arch context job jobs=() failed=0
    for image; do
        read -r image kind suite archs <<<"$image"
        context=$bases/${image/:/-}
        mkdir -p "$context"
        for arch in $(architectures "$archs"); do
            if [[ $arch != "$(native_arch)" ]] && ! emulation_registered; then continue; fi
            make_rootfs "$context/rootfs-$arch.tar" "$kind" "$suite" "$arch" &
            jobs+=($!)
        done
    done
    for job in "${jobs[@]}"; do wait "$job" || failed=1; done
    ((failed == 0)) || exit 1
    for image; do
        read -r image kind suite archs <<<"$image"
        for arch in $(architectures "$archs"); do
            make_rootfs "$bases/${image/:/-}/rootfs-$arch.tar" "$kind" "$suite" "$arch"
        done
    done
}

# --- images --------------------------------------------------------------------

# What an image is made of, to see whether the one pushed is still right.
recipe() { printf '%s %s\n' "$(architectures "$4" | tr '\n' ' ')" "$(sha256sum <"$(dockerfile "$2")")"; }

dockerfile() { printf '%s\n' "$checkout/dockerfiles/bases/$1.Dockerfile"; }

pushed() {
    [[ $(http_status HEAD "${ports[0]}" "/v2/library/${1%:*}/manifests/${1#*:}") == 200 ]] &&
        [[ $(cat "$bases/${1/:/-}/pushed" 2>/dev/null) == "$(recipe "$@")" ]]
}

# push_base IMAGE DOCKERFILE SUITE ARCHITECTURES
push_base() {
    local name=localhost:${ports[0]}/library/$1 context=$bases/${1/:/-} arch targets=() version
    for arch in $(architectures "$4"); do targets+=("linux/$arch"); done
    version=$(python_version "$context/rootfs-$(native_arch).tar")
    say "building $1 for ${targets[*]}"
    any_docker buildx build --quiet --provenance=false \
        --platform "$(IFS=, && echo "${targets[*]}")" --file "$(dockerfile "$2")" \
        --build-arg SOURCE_DATE_EPOCH=$epoch --build-arg PYTHON_VERSION="$version" \
        --output "type=image,name=$name,push=true,oci-mediatypes=true" "$context" >/dev/null
    if [[ $(mode) == existing ]]; then # no mirror there: give it the name itself
        any_docker pull --quiet "$name" >/dev/null
        any_docker tag "$name" "$1"
    fi
    recipe "$@" >"$context/pushed"
}

# The version of Python in a root file system.
python_version() {
    tar --extract --to-stdout --file "$1" ./var/lib/dpkg/status |
        awk '/^Package: /{found = $2 ~ /^python3\.[0-9]+-minimal$/}
             found && /^Version: /{sub(/[-+~].*/, "", $2); print $2}'
}

hub_reachable() { docker_timeout=5 any_docker buildx imagetools inspect debian:bookworm-slim &>/dev/null; }

provide_bases() {
    local image words leftover missing=()
    if [[ $bootstrap == never || -e $run/hub ]]; then return; fi
    for image in "${base_images[@]}"; do
        read -ra words <<<"$image"
        pushed "${words[@]}" || missing+=("$image")
    done
    if ((${#missing[@]} == 0)); then return; fi
    if [[ $bootstrap == auto ]] && hub_reachable; then
        touch "$run/hub"
        say "Docker Hub is in reach: base images come from there"
        return
    fi
    fetch_bootstrap_packages
    for leftover in "$bases"/mmdebstrap.*; do # of a killed run
        unmount_under "$leftover"
        rm -rf --one-file-system "$leftover"
    done
    say "base images: bootstrapping Debian (minutes, once)"
    make_rootfs_of "${missing[@]}"
    for image in "${missing[@]}"; do
        read -ra words <<<"$image"
        push_base "${words[@]}"
    done
}
