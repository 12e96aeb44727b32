#!/usr/bin/env bash
# Puts the kit together: make_kit.sh VXA-KIT.TAR NEWLIB-INCLUDE NEWLIB-COPYING FILE=PLACE...
# Owners, dates and order are always the same, so that the same files give the same archive.
set -euo pipefail
output=$1 include=$2 copying=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kit=$work/vxa-kit
mkdir -p "$kit/include"
cp -RL "$include/." "$kit/include"
for pair in "$@"; do
  install -D -m 644 "${pair%%=*}" "$kit/${pair#*=}"
done
# Headers are <vx/NAME.h> outside this tree.
sed -i -e 's,"decoders/sdk/\([a-z]*\.h\)",<vx/\1>,' -e 's,"vxengine/abi\.h",<vx/abi.h>,' "$kit"/include/vx/*.h
# gcc's 32-bit integer arithmetic, which stock gcc packages for amd64 lack.
cp "$(gcc -m32 -print-libgcc-file-name)" "$kit/lib/libvxgcc.a"
install -D -m 644 /usr/share/doc/gcc-12-base/copyright "$kit/LICENSES/gcc"
install -m 644 "$copying" "$kit/LICENSES/newlib"
ln -s vxcc "$kit/bin/vxc++"
chmod -R u=rwX,go=rX "$kit"
chmod 755 "$kit"/bin/*
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar -C "$work" -cf "$output" vxa-kit
