#!/usr/bin/env bash
# Downloads the .orig tarball of a Debian source package into the current directory, without root and
# without touching the machine's apt configuration: fetch_debian_source.sh PACKAGE VERSION TARBALL
# The caller checks the tarball's hash.
set -euo pipefail
package=$1 version=$2 tarball=$3

work=$(mktemp -d "$PWD/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{parts,lists/partial,cache/archives/partial,out}

# The machine's own mirrors, asked for sources instead of binaries (deb822 and one-line style).
for list in /etc/apt/sources.list.d/*.sources; do
  [ -e "$list" ] && sed -E 's/^Types:.*/Types: deb-src/' "$list" > "$work/parts/$(basename "$list")"
done
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$list" ] && sed -nE 's/^deb(\s)/deb-src\1/p' "$list" > "$work/parts/$(basename "$list" .list)-src.list"
done

apt=(apt-get -q
  -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts"
  -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update >&2

cd "$work/out"
"${apt[@]}" source --download-only "$package=$version" >&2 ||
  "${apt[@]}" source --download-only "$package" >&2
cp "$tarball" "$OLDPWD/"
