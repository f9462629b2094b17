# The flags every Espalier target is compiled with.
add_library(espalier_flags INTERFACE)
target_compile_options(espalier_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -ffp-contract=off $<$<BOOL:${ESPALIER_WERROR}>:-Werror>)
target_compile_definitions(espalier_flags INTERFACE _POSIX_C_SOURCE=200809L)
if(ESPALIER_SANITIZE)
  target_compile_options(espalier_flags INTERFACE
    -fsanitize=${ESPALIER_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(espalier_flags INTERFACE -fsanitize=${ESPALIER_SANITIZE})
endif()
