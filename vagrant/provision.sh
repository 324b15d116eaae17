#!/usr/bin/env bash
# Installs spectap from the checkout that this file is in, and runs its demo as a service. As root:
#
#   provision.sh                  from the network
#   provision.sh --offline DIR    without one: from DIR, which --fetch has made
#   provision.sh --fetch DIR      collects what --offline needs (about 250 MB): on a machine of the same release
#                                 and processor that has a network; needs no root
#
# Again with a newer checkout, it brings the installation up to date. `provision.sh --remove` undoes it, but for
# the packages.
set -euo pipefail
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
home=/opt/spectap
units=/etc/systemd/system
packages=(python3 python3-bpfcc python3-venv)
services=(spectap-demo.service spectap-page.socket spectap-page.service)
page=http://127.0.0.1:8080
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() {
    echo "spectap: $*"
}

die() {
    say "$*" >&2
    exit 1
}

usage() {
    sed -n '2,/^set /{/^# \{0,1\}/s///p}' "${BASH_SOURCE[0]}"
    exit "$1"
}

release() {
    (. /etc/os-release && echo "$ID $VERSION_CODENAME $(dpkg --print-architecture)")
}

need_root() {
    [ "$(id -u)" = 0 ] || die "this needs root: run it with sudo"
}

# --- with a network ---

fetch() {
    local folder=$1
    mkdir -p "$folder/debs" "$folder/wheels"
    fetch_debs "$folder/debs"
    (index "$folder/debs") >"$work/Packages"
    mv "$work/Packages" "$folder/debs/"
    fetch_wheels "$folder/wheels"
    release >"$folder/release"
    say "$folder has $(find "$folder" -type f | wc -l) files, $(du -sh "$folder" | cut -f1): take it to the other machine"
}

# With all they depend on, as if nothing were installed: the other machine may have less than this one.
fetch_debs() {
    local folder=$1
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
    local apart=(-qq -o Dir::State="$work/state" -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache"
        -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=true)
    apt-get "${apart[@]}" update || die "could not read the package index: check the network"
    apt-get "${apart[@]}" -y --no-install-recommends --download-only install "${packages[@]}" ||
        die "could not fetch ${packages[*]}: check the network"
    rm -f "$folder"/*.deb
    mv "$work"/cache/archives/*.deb "$folder/"
}

# The index that apt wants of a folder of packages.
index() {
    local package
    cd "$1"
    for package in *.deb; do
        dpkg-deb -f "$package"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$package" "$(stat -c %s "$package")" \
            "$(sha256sum "$package" | cut -d' ' -f1)"
    done
}

fetch_wheels() {
    local folder=$1
    /usr/bin/python3 -m venv "$work/venv" || die "python3-venv is missing: apt-get install python3-venv"
    "$work/venv/bin/pip" -q --disable-pip-version-check download --no-deps --require-hashes --only-binary=:all: \
        -r "$checkout/requirements.lock" -d "$folder" || die "could not fetch the Python packages: check the network"
}

# --- on the machine itself ---

install_offline() {
    local folder=$1
    [ -e "$folder/release" ] || die "$folder is not complete: make it with provision.sh --fetch"
    [ "$(cat "$folder/release")" = "$(release)" ] ||
        die "$folder is for $(cat "$folder/release"), and this is $(release): make one with --fetch on such a machine"
    folder=$(cd "$folder" && pwd)
    chmod 755 "$work"
    mkdir -p "$work/lists/partial"
    echo "deb [trusted=yes] file:$folder/debs ./" >"$work/sources.list"
    local local_only=(-qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$work/lists" -o APT::Sandbox::User=root)
    apt-get "${local_only[@]}" update
    DEBIAN_FRONTEND=noninteractive apt-get "${local_only[@]}" -y --no-install-recommends install "${packages[@]}" ||
        die "could not install ${packages[*]} from $folder: see above"
    export PIP_NO_INDEX=1 PIP_FIND_LINKS="$folder/wheels"
}

install_checkout() {
    mkdir -p "$home"
    tar -C "$checkout" --exclude=./.git --exclude=./.venv --exclude=__pycache__ --exclude='./.*_cache' \
        --exclude=./offline -c . | tar -C "$home" -x --no-same-owner
    "$home/tools/setup"
    "$home/.venv/bin/python" -m compileall -q "$home"/{agent,bpf,server} # else the first start does
}

start() {
    local left=180
    if [ ! -d /run/systemd/system ]; then
        say "installed; there is no systemd here: start it by $home/.venv/bin/spectap up --demo"
        return
    fi
    install -m 644 "${services[@]/#/$checkout/vagrant/}" "$units"
    systemctl daemon-reload
    systemctl enable -q spectap-demo.service spectap-page.socket
    systemctl stop spectap-page.service # a socket whose service runs does not start: somebody looked at the page
    systemctl restart spectap-demo.service spectap-page.socket
    until "$home/.venv/bin/python" -c "import urllib.request as u; u.urlopen('$page/readyz?agent=1')" 2>/dev/null; do
        if [ $((left--)) -le 0 ] || systemctl -q is-failed spectap-demo.service; then
            journalctl -u spectap-demo.service -n 20 --no-pager >&2
            die "it did not start: see above, and $home/.venv/bin/spectap-agent doctor"
        fi
        sleep 1
    done
    say "running: port 8180 of this machine has the page; journalctl -fu spectap-demo shows what it says"
}

remove() {
    if [ -d /run/systemd/system ]; then
        systemctl disable -q --now "${services[@]}" || true
        rm -f "${services[@]/#/$units/}"
        systemctl daemon-reload
    fi
    rm -rf "$home"
    say "removed; what was captured stays in /var/lib/spectap and /var/lib/spectap-agent"
}

case ${1:-} in
"")
    need_root
    install_checkout
    start
    ;;
--offline)
    need_root
    install_offline "${2:?usage: provision.sh --offline DIR}"
    install_checkout
    start
    ;;
--fetch) fetch "${2:?usage: provision.sh --fetch DIR}" ;;
--remove)
    need_root
    remove
    ;;
-h | --help) usage 0 ;;
*) usage 64 >&2 ;;
esac
