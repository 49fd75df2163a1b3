# shellcheck shell=bash
# A part of .ci/guest: fetches packages of this host's Debian and unpacks them into the cache. Nothing is installed.
# shellcheck disable=SC2154 # cache, with_tools

new=$cache/new
updated=

setup() {
  local versions=() version
  while (($#)); do
    [[ $1 == --kernel && $# -ge 2 ]] || die "no such option, or one without its value: $1"
    versions+=("$2")
    shift 2
  done
  ((${#versions[@]})) || versions=(6.12 6.1)
  mkdir -p "$cache"
  exec {lock}> "$cache/lock"
  flock "$lock"
  trap 'rm -rf "$new"' EXIT
  provide tools
  for version in "${versions[@]}"; do
    provide kernel "$version"
  done
}

# Makes $cache/NAME[-VERSION] with fetch_NAME, unless it is there.
provide() {
  local target=$cache/$1${2+-$2}
  if [[ ! -e $target ]]; then
    printf 'guest: fetching %s\n' "$1${2+ $2}" >&2
    update_lists
    rm -rf "$new"
    mkdir "$new"
    "fetch_$1" "${@:2}"
    mv "$new" "$target"
  fi
}

update_lists() {
  command -v apt-get > /dev/null || die 'no apt-get: kernels are those of Debian; use a container of Debian 12'
  if [[ ! $updated ]]; then
    mkdir -p "$cache/apt/lists/partial"
    apt get update || die 'package lists cannot be fetched: apt-get said why'
    updated=yes
  fi
}

# With lists of its own, so that it needs no rights, and changes nothing outside of the cache.
apt() {
  "apt-$1" -qq -o Dir::State::Lists="$cache/apt/lists" -o Dir::Cache="$cache/apt" -o APT::Sandbox::User="$(id -un)" \
    "${@:2}"
}

unpack() {
  local debs=$cache/apt/debs package
  rm -rf "$debs"
  mkdir "$debs"
  (cd "$debs" && apt get download "$@") || die "packages cannot be fetched: $*"
  for package in "$debs"/*.deb; do
    dpkg --extract "$package" "$new"
  done
  rm -r "$debs"
}

# What this host lacks of QEMU and zstd, with their libraries; busybox is for the guest.
fetch_tools() {
  local missing
  missing=$(apt get install --simulate --no-install-recommends qemu-system-x86 zstd | awk '/^Inst/ {print $2}') ||
    die 'qemu-system-x86 cannot be had: apt-get said why'
  # shellcheck disable=SC2086 # names of packages
  unpack busybox-static $missing
}

fetch_kernel() {
  local package image begin bytes module
  package=$(apt cache pkgnames "linux-image-$1." | grep -E '^linux-image-[0-9.-]+(\+deb[0-9]+)?-amd64$' |
    sort -V | tail -n 1)
  [[ -n $package ]] || die "this host's Debian has no package of it: kernel=$1"
  unpack "$package"
  # The place of the compressed kernel in its file is in the header that the kernel's documentation gives, x86/boot.
  image=$(echo "$new"/boot/vmlinuz-*)
  header() { od -An -v -t "u$2" -j "$1" -N "$2" "$image" | tr -d ' '; }
  begin=$((($(header 0x1f1 1) + 1) * 512 + $(header 0x248 4)))
  bytes=$(($(header 0x24c 4) - 4))
  "${with_tools[@]}" zstd -dcf < <(tail -c "+$((begin + 1))" "$image" | head -c "$bytes") > "$new/vmlinux"
  mkdir -p "$new/base/bin" "$new/base/modules"
  cp "$cache/tools/bin/busybox" "$new/base/bin"
  for module in virtio_pci virtio_console virtio_blk 9pnet_virtio 9p overlay kmem cxl_acpi dax_hmem; do
    add_module "$module"
  done
  pack "$new/base" > "$new/base.cpio"
  (cd "$new" && rm -r base boot lib usr)
}

# Adds a module behind those that it needs, numbered in the order of loading. What is not there is built in.
add_module() {
  local file base=$new/base/modules need
  file=$(find "$new/lib/modules" -name "${1//_/[-_]}.ko*")
  if [[ -n $file && ! -e $(echo "$base"/*-"$1.ko") ]]; then
    "${with_tools[@]}" zstd -dcf < "$file" > "$new/$1.ko"
    for need in $(tr '\0' '\n' < "$new/$1.ko" | sed -n 's/^depends=//p' | tr ',' ' '); do
      add_module "$need"
    done
    mv "$new/$1.ko" "$base/$(printf '%02d' "$(find "$base" -type f | wc -l)")-$1.ko"
  fi
}
