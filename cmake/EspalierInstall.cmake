# What cmake --install adds to the program and the archive: headers, pkg-config and CMake files, an
# example, the manual, documents, Slurm scripts. All of it can be moved together afterwards.
include(CMakePackageConfigHelpers)
set(ESPALIER_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/Espalier)

install(DIRECTORY include/espalier DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY slurm analysis examples DESTINATION ${CMAKE_INSTALL_DATADIR}/espalier
        PATTERN "__pycache__" EXCLUDE)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md" PATTERN "*.svg"
        PATTERN "sweep" EXCLUDE)
install(FILES CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
configure_file(packaging/README.installed.md.in README.installed.md @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/README.installed.md DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME README.md)

configure_file(docs/espalier.1.in espalier.1 @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/espalier.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# The archive is static, so whoever links it links these too; mpicc brings MPI.
set(ESPALIER_LIBRARIES ${ScaLAPACK_LIBRARY} ${HDF5_C_LIBRARIES} ${BLAS_LIBRARIES})
list(JOIN ESPALIER_LIBRARIES " " PC_LIBRARIES)

# The pkg-config file finds the rest from where it lies itself, unless a folder was given as absolute.
function(esp_pc_folder folder result)
  if(IS_ABSOLUTE ${folder})
    set(${result} ${folder} PARENT_SCOPE)
  else()
    set(${result} "\${prefix}/${folder}" PARENT_SCOPE)
  endif()
endfunction()
esp_pc_folder(${CMAKE_INSTALL_INCLUDEDIR} ESPALIER_PC_INCLUDEDIR)
esp_pc_folder(${CMAKE_INSTALL_LIBDIR} ESPALIER_PC_LIBDIR)
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(ESPALIER_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH ESPALIER_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" ESPALIER_PC_PREFIX "\${pcfiledir}/${ESPALIER_PC_PREFIX}")
endif()
configure_file(cmake/espalier.pc.in espalier.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/espalier.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_package_config_file(cmake/EspalierConfig.cmake.in EspalierConfig.cmake
  INSTALL_DESTINATION ${ESPALIER_CMAKEDIR} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(EspalierConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/EspalierConfig.cmake ${PROJECT_BINARY_DIR}/EspalierConfigVersion.cmake
        DESTINATION ${ESPALIER_CMAKEDIR})
