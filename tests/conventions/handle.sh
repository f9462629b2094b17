#!/usr/bin/env bash
# MPI is seen by module comm, by what hands its communicator to another library, and by main: all else is counted.
#   SOURCE: the project's folder
set -euo pipefail

allowed='src/cli/main.c
src/io/h5_access.c
src/linalg/scalapack.h
src/linalg/solve.c'

cd "$SOURCE"
found=$(grep -rlE '#include (<mpi\.h>|"espalier/comm/handle\.h")|(^|[^A-Za-z_])MPI_[A-Z][a-z]+' src --include='*.[ch]' |
  grep -v '^src/comm/' | sort)
diff <(echo "$allowed") <(echo "$found") || { echo "only the files on the left may use MPI itself"; exit 1; }
