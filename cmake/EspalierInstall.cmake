# What cmake --install adds to the program and the archive: headers, pkg-config file, man page, Slurm scripts.
install(DIRECTORY include/espalier DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY slurm analysis DESTINATION ${CMAKE_INSTALL_DATADIR}/espalier
        PATTERN "__pycache__" EXCLUDE)
install(FILES README.md CHANGELOG.md LICENSE docs/design.md docs/guide.md docs/options.md docs/report.md docs/cluster.md
        docs/results.md docs/experiments.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/method DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The archive is static, so whoever links it links these too; mpicc brings MPI.
set(PC_LIBRARIES ${ScaLAPACK_LIBRARY} ${HDF5_C_LIBRARIES} ${BLAS_LIBRARIES})
list(JOIN PC_LIBRARIES " " PC_LIBRARIES)
configure_file(cmake/espalier.pc.in espalier.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/espalier.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_file(docs/espalier.1.in espalier.1 @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/espalier.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
