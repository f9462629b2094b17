#!/usr/bin/env bash
# The files in packaging/ name only what there is: options and presets of the build, files of the checkout, packages' parts.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

cd "$SOURCE"
mapfile -t files < <(git ls-files packaging 2>/dev/null || find packaging -type f)
((${#files[@]} >= 5)) || fail "expected more files than ${#files[*]}"

# -DNAME=..., self.define("NAME", ...): variables of the build.
for option in $(grep -ohE -- '-D[A-Z][A-Z0-9_]*=|define(_from_variant)?\("[A-Z0-9_]*"' "${files[@]}" |
  grep -oE '[A-Z][A-Z0-9_]+' | sort -u); do
  name=${option#D}
  grep -q "^$name:" "$BUILD/CMakeCache.txt" || grep -rqw "$name" CMakeLists.txt cmake tests/CMakeLists.txt ||
    fail "packaging/ names $name, which is no variable of the build"
done

for preset in $(grep -ohE -- '--preset [a-z]+' "${files[@]}" | awk '{ print $2 }' | sort -u); do
  grep -q "\"name\": \"$preset\"" CMakePresets.json || fail "packaging/ names the preset $preset, which is not there"
done

for path in $(grep -ohE '\b(scripts|packaging|docs|slurm|analysis|cmake)/[A-Za-z0-9_./-]*[A-Za-z0-9_/]' "${files[@]}" | sort -u); do
  [[ -e $path ]] || fail "packaging/ names $path, which is not there"
done

# What the module file adds to search paths is in an installed tree.
module=packaging/modulefiles/espalier.lua
for path in $(grep -oE 'pathJoin\(root, "[^"]+"' "$module" | grep -oE '"[^"]+"' | tr -d '"'); do
  [[ -d $TREE/$path ]] || fail "$module names $path, which is not installed"
done
