# Everything Espalier stands on, as imported targets.
find_package(MPI 3.0 REQUIRED COMPONENTS C)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(ZLIB REQUIRED)

set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 REQUIRED COMPONENTS C)
if(NOT HDF5_IS_PARALLEL)
  message(FATAL_ERROR "Espalier needs parallel HDF5; found a serial one (${HDF5_VERSION}). "
                      "Install libhdf5-openmpi-dev, or set HDF5_ROOT to a parallel build.")
endif()

find_package(PkgConfig REQUIRED)
pkg_check_modules(LAPACKE REQUIRED IMPORTED_TARGET lapacke)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

set(BLA_VENDOR OpenBLAS CACHE STRING "BLAS vendor; any with CBLAS will do")
find_package(BLAS REQUIRED)
find_package(ScaLAPACK REQUIRED)
