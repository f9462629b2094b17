#!/bin/sh
# Write two texts below DIR: mobydick.txt (public domain, package golang-github-colinmarc-hdfs-dev, unpacked, not
# installed) and descriptions.txt (the long descriptions of Debian's packages, a package a block; not for
# redistribution). Usage: fetch_text.sh DIR. Needs apt and lz4.
set -eu
mkdir -p "$1/lists/partial"
cd "$1"
apt-get download -qq golang-github-colinmarc-hdfs-dev
dpkg-deb --fsys-tarfile golang-github-colinmarc-hdfs-dev_*.deb |
  tar -xO --wildcards '*/testdata/mobydick.txt' > mobydick.txt
apt-get -qq -o Dir::State::Lists="$PWD/lists" -o Acquire::Languages=en update
for list in lists/*_main_i18n_Translation-en.lz4; do
  case $list in *security*|*updates*) ;; *) lz4 -dcq "$list" ;; esac
done | awk '/^Description-en: / { sub(/^[^:]*: /, ""); print "\n" $0; inside = 1; next }
            /^ / && inside { sub(/^ +/, ""); sub(/^\.$/, ""); print; next }
            { inside = 0 }' > descriptions.txt
