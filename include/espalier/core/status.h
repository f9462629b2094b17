/* Status codes and failure messages.
 *
 * A library function never exits. What the world did wrong (file, format, option, number) comes
 * back as an esp_status with a text kept by esp_fail; what we did wrong goes through ESP_ASSERT. */
#ifndef ESPALIER_CORE_STATUS_H
#define ESPALIER_CORE_STATUS_H

#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* One list makes the codes and their names. The code is also the exit code of the program. */
#define ESP_STATUS_LIST(X)                          \
  X(OK, "success")                                  \
  X(USAGE, "wrong use")                             \
  X(IO, "cannot read or write")                     \
  X(FORMAT, "not the expected format")              \
  X(MISMATCH, "things that do not belong together") \
  X(NUMERIC, "numbers out of range")                \
  X(INTERRUPTED, "interrupted")                     \
  X(BEYOND, "beyond the limit that was given")

typedef enum esp_status {
#define X(name, text) ESP_##name,
  ESP_STATUS_LIST(X)
#undef X
} esp_status;

/* Return the short text of a code. Local. */
const char *esp_status_name(esp_status code);

/* Keep a failure's text (at most 1023 bytes, one line) and return its code.
 * The text says what was expected, what was found and what to do. Local, per thread. */
esp_status esp_fail(esp_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Return the text of the last esp_fail of this thread, "" before the first. Local. */
const char *esp_failure_text(void);

/* Hand a status up at once. Only in functions without resources of their own and, in collective
 * code, only around expressions that are equal on all ranks. */
#define ESP_TRY(expression)                        \
  do {                                             \
    esp_status try_status_ = (expression);         \
    if (try_status_ != ESP_OK) return try_status_; \
  } while (0)

/* Stop every rank on a violated invariant of our own. */
#define ESP_ASSERT(condition) \
  ((condition) ? (void)0 : esp_panic(__FILE__, __LINE__, "assertion failed: " #condition))

/* Print "espalier: rank R: file:line: text" and end the job through the hook; does not return.
 * Local. */
void esp_panic(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* Print "espalier: error: rank R: " and the text of the last failure, and end the job through the
 * hook with its code: for a failure that the other ranks cannot be told of. Local. */
void esp_end_job(esp_status code) __attribute__((noreturn));

/* Set what ends the whole job (main sets a call of MPI_Abort); NULL restores abort(). Local. */
void esp_set_panic_hook(void (*end_job)(int exit_code));
/* Set this process's rank, which a panic then names; below 0, as at first: there is none. Local. */
void esp_set_panic_rank(int rank);
/* Get that rank; call the hook, if there is one, which does not return. For what ends the job in
 * other ways. Local. */
int esp_get_panic_rank(void);
void esp_call_panic_hook(int exit_code);

ESP_C_END

#endif
