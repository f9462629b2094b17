/* What the harnesses share. A harness is one file with fuzz_start and LLVMFuzzerTestOneInput,
 * linked with libFuzzer, or with replay.c, which gives it the files of its corpus. Panics abort,
 * and so are found. */
#ifndef ESPALIER_TESTS_FUZZ_H
#define ESPALIER_TESTS_FUZZ_H

#include "espalier/comm/comm.h"
#include "espalier/core/status.h"

#include <stddef.h>
#include <stdint.h>

/* Of one process; MPI has been started. */
extern esp_comm fuzz_comm;

/* Called by libFuzzer, or replay.c: starts MPI and makes the scratch folder, which goes at the end.
 * Then fuzz_start is called. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* The harness's own: files that every input finds. */
void fuzz_start(void);

/* A path in the scratch folder, valid until the end of the program's next call with the same name;
 * made once for each name. */
const char *fuzz_path(const char *name);
/* Write a file there, or make a folder. */
void fuzz_write(const char *name, const void *bytes, size_t count);
void fuzz_make_folder(const char *name);

/* What every call promises: a code of those that files lead to, one line that says why, and a
 * result only with ESP_OK. Returns whether it is ESP_OK. */
int fuzz_succeeded(esp_status status, const void *result);
/* The same of a call without a result. */
int fuzz_is_ok(esp_status status);

/* Read every byte: the address sanitizer sees those that are not there. */
void fuzz_touch(const void *bytes, int64_t count);

/* Input that is taken apart from its front; 0 and empty texts at its end. */
typedef struct fuzz_input {
  const uint8_t *data;
  size_t size;
} fuzz_input;
uint8_t fuzz_take(fuzz_input *input);
/* The next count bytes, or as many as there are, as a text; a zero byte ends it. A static buffer.
 */
const char *fuzz_take_text(fuzz_input *input, size_t count);

#endif
