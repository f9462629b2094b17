# esp_module(<name> SOURCES <c files> LINKS <targets>): one module, one static library. LINKS names
# only lower modules and foreign libraries, so that an upward call does not link.
function(esp_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(espalier_${name} STATIC ${ARG_SOURCES})
  target_include_directories(espalier_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
                                              PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(espalier_${name} PUBLIC ${ARG_LINKS} PRIVATE espalier_flags)
endfunction()

# esp_source_isa(<file> <ISA> <flags...>): compiles <file> for an instruction set chosen at run time;
# the file is empty where the compiler does not know the flags.
function(esp_source_isa file)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${ARGN}")
  endif()
endfunction()
