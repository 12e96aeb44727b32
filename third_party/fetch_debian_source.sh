#!/usr/bin/env bash
# Downloads a Debian source package's upstream tarball, and Debian's own additions as `debian.tar`, into the
# current directory, without root and without touching the machine's apt configuration:
#   fetch_debian_source.sh PACKAGE VERSION TARBALL
# Where VERSION is gone from the mirror, a later revision with the same tarball does. The caller checks hashes.
set -euo pipefail
shopt -s nullglob
package=$1 version=$2 tarball=$3

here=$PWD
work=$(mktemp -d "$here/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{parts,lists/partial,cache/archives/partial}

# The machine's own mirrors, asked for sources instead of binaries (deb822 and one-line style).
for list in /etc/apt/sources.list.d/*.sources; do
  sed -E 's/^Types:.*/Types: deb-src/' "$list" > "$work/parts/${list##*/}"
done
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$list" ] || continue
  name=${list##*/}
  sed -nE 's/^deb(\s)/deb-src\1/p' "$list" > "$work/parts/one-line-${name%.list}.list"
done

options=(-q -o Acquire::Retries=3
  -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts"
  -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
# A third party's mirror may well have no sources; whether ours are there shows below.
apt-get "${options[@]}" update >&2 || true

# Every version that the mirrors have with this very tarball, the wanted one first.
versions=$(apt-cache "${options[@]}" showsrc "$package" |
  awk -v tarball="$tarball" '$1 == "Version:" { version = $2 } $3 == tarball { print version }' | sort -u)
for candidate in "$version" $versions; do
  if grep -qxF "$candidate" <<< "$versions"; then
    rm -rf "$work/out"
    mkdir "$work/out"
    cd "$work/out"
    # Without --only-source it may be another version, that of a binary package of this name. A mirror may lack
    # the tarball's signature, or the whole version in spite of its list; what counts is the tarball's hash.
    apt-get "${options[@]}" source --only-source --download-only "$package=$candidate" >&2 ||
      [ -e "$tarball" ] || continue
    mv -- "$tarball" "$here/"
    for additions in *.debian.tar.*; do mv -- "$additions" "$here/debian.tar"; done
    exit 0
  fi
done
echo "no mirror of this machine's apt has $tarball of Debian 12's $package $version" >&2
exit 1
