/* Output in the making: PATH.partial and the room for it. All local. */
#ifndef ESPALIER_SRC_IO_OUTPUT_H
#define ESPALIER_SRC_IO_OUTPUT_H

#include "espalier/core/status.h"

#include <stdint.h>

/* "PATH.partial", owned by the caller. */
char *esp_output_partial(const char *path);

/* The folder that a path lies in, owned by the caller. */
char *esp_output_folder(const char *path);

/* What a path links to, whether or not that is there; the path itself where it is no link. Owned by
 * the caller. */
char *esp_output_target(const char *path);

/* Let writing past the limit on file sizes fail (EFBIG) instead of ending the process. */
void esp_output_ignore_size_signal(void);

/* IO if this process may not write files of so many bytes (ulimit -f). */
esp_status esp_output_check_limit(const char *path, int64_t bytes);

/* Set disk space aside for bytes [begin, end) of an open file without changing its size, or, where
 * the file system cannot, compare with what is free. IO when there is too little. */
esp_status esp_output_reserve(int fd, const char *path, int64_t begin, int64_t end);

/* Let the disk begin with bytes [begin, begin + count) that were written to an open file (count 0:
 * up to its end), and do not wait: the flush at the end then waits for the last of them alone. A
 * failure is left to that flush. Stripes of so many bytes are worth it. */
enum { ESP_OUTPUT_STRIPE = 16 << 20 };
void esp_output_start(int fd, int64_t begin, int64_t count);

/* Give back what was set aside beyond the end of a file. */
void esp_output_trim(int fd);

#endif
