/* Loops over elements for the instruction set of the machine: a function that is marked is compiled
 * for SSE2, AVX2 and AVX-512, and the program chooses when it is loaded. Nothing is contracted
 * (-ffp-contract=off), so that a loop of independent elements has the same bits in each. */
#ifndef ESPALIER_CORE_CLONES_H
#define ESPALIER_CORE_CLONES_H

#include <limits.h> // any header of the library says whether it is glibc

#if defined __x86_64__ && defined __GLIBC__ && defined __GNUC__ && !defined __clang__ && \
    !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
#define ESP_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define ESP_CLONES
#endif

#endif
