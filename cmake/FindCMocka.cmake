# Defines cmocka::cmocka; CMocka's own CMake file (1.1.5) defines no target.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CMOCKA IMPORTED_TARGET GLOBAL cmocka)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CMocka REQUIRED_VARS CMOCKA_LIBRARIES VERSION_VAR CMOCKA_VERSION)
if(CMocka_FOUND AND NOT TARGET cmocka::cmocka)
  add_library(cmocka::cmocka ALIAS PkgConfig::CMOCKA)
endif()
