/* HDF5 files for harnesses: a good one, changed as the input says. Bytes that HDF5 itself has to
 * make sense of are changed by one operation only, so that what is found is about what we read. */
#ifndef ESPALIER_TESTS_FUZZ_H5_H
#define ESPALIER_TESTS_FUZZ_H5_H

#include "fuzz.h"

/* Copy a file of the scratch folder to another and change its objects, names (ended by NULL) of
 * which may be there. */
void fuzz_h5_edit(const char *from, const char *to, const char *const *names, fuzz_input *input);

/* Nothing that was opened in HDF5 is open still, as after every call of ours that has ended; panics
 * otherwise. */
void fuzz_h5_end(void);

#endif
