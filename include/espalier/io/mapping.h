/* Files mapped into memory for reading, and what happens when one is cut meanwhile: the kernel then
 * answers a read beyond its new end with SIGBUS. */
#ifndef ESPALIER_IO_MAPPING_H
#define ESPALIER_IO_MAPPING_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

#include <stdint.h>

ESP_C_BEGIN

/* Map the first bytes > 0 of an open file. Where the file system cannot map (ENODEV), they are read
 * into memory of this process instead, with a warning. *map is closed by esp_mapping_close_local.
 * IO. Local; not from two threads at once.
 *   path  in  for messages, and for what a later SIGBUS prints */
esp_status esp_mapping_open_local(int fd, const char *path, int64_t bytes, const void **map);
/* Unmap and set NULL; NULL inside is fine. Local; not from two threads at once. */
void esp_mapping_close_local(const void **map);

/* From now on a SIGBUS prints one line that names the file (or says that it was in none) and ends
 * the job: end_job(ESP_IO), and this process if that returns. Of several ranks that read the same
 * file the lowest speaks first. Local.
 *   rank  in  of this process, for the line */
void esp_mapping_catch_faults(int rank, void (*end_job)(int exit_code));

ESP_C_END

#endif
