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
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)

set(BLA_VENDOR OpenBLAS CACHE STRING "BLAS vendor; any with CBLAS will do")
find_package(BLAS REQUIRED)
find_package(ScaLAPACK REQUIRED)

# LAPACKE stands alone (Debian), or inside OpenBLAS without a pkg-config file (Spack, EasyBuild).
pkg_check_modules(LAPACKE IMPORTED_TARGET lapacke)
set(ESPALIER_PC_REQUIRES "jansson yaml-0.1 libxxhash zlib libpcre2-8 libutf8proc")
if(LAPACKE_FOUND)
  string(PREPEND ESPALIER_PC_REQUIRES "lapacke ")
else()
  include(CheckFunctionExists)
  set(CMAKE_REQUIRED_LIBRARIES BLAS::BLAS)
  check_function_exists(LAPACKE_dpotrf_work ESPALIER_BLAS_HAS_LAPACKE)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(NOT ESPALIER_BLAS_HAS_LAPACKE)
    message(FATAL_ERROR "Espalier needs LAPACKE: expected lapacke.pc, or its functions in ${BLAS_LIBRARIES}; found "
                        "neither. Install liblapacke-dev, or an OpenBLAS built with LAPACKE.")
  endif()
  add_library(PkgConfig::LAPACKE INTERFACE IMPORTED)
  target_link_libraries(PkgConfig::LAPACKE INTERFACE BLAS::BLAS)
endif()
