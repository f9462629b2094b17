# Defines ScaLAPACK::ScaLAPACK. Debian's own CMake config of ScaLAPACK names a path that does not
# exist, so the library is found by name (SCALAPACK_NAMES, for the MPI that is used); SCALAPACK_ROOT
# points at another build.
set(SCALAPACK_NAMES scalapack-openmpi scalapack scalapack-mpich CACHE STRING "Names of ScaLAPACK's library")
find_library(ScaLAPACK_LIBRARY NAMES ${SCALAPACK_NAMES}
             HINTS ${SCALAPACK_ROOT} ENV SCALAPACK_ROOT PATH_SUFFIXES lib lib64)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ScaLAPACK REQUIRED_VARS ScaLAPACK_LIBRARY)
if(ScaLAPACK_FOUND AND NOT TARGET ScaLAPACK::ScaLAPACK)
  add_library(ScaLAPACK::ScaLAPACK UNKNOWN IMPORTED)
  set_target_properties(ScaLAPACK::ScaLAPACK PROPERTIES
    IMPORTED_LOCATION "${ScaLAPACK_LIBRARY}"
    INTERFACE_LINK_LIBRARIES "BLAS::BLAS;MPI::MPI_C")
endif()
mark_as_advanced(ScaLAPACK_LIBRARY)
