#!/bin/sh
# Unpack the public-domain novels (package r-cran-janeaustenr) below DIR, without installing them, and
# write the labelled package descriptions of this machine's Debian index there. Usage: fetch_data.sh DIR
set -eu
mkdir -p "$1"
cd "$1"
apt-get update -qq
apt-get download -qq r-cran-janeaustenr
dpkg-deb -x r-cran-janeaustenr_*.deb .
apt-cache dumpavail > available.txt
