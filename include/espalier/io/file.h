/* Whole files, and output that is complete or absent. */
#ifndef ESPALIER_IO_FILE_H
#define ESPALIER_IO_FILE_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* Read a whole file, gunzipped if its name ends in .gz, with a 0 byte behind it. *data is owned by
 * the caller. IO. Local. */
esp_status esp_file_read_local(const char *path, char **data, int64_t *bytes);

/* The same, read on rank 0 and broadcast. IO on all ranks. Collective on comm; equal on all ranks:
 * path. */
esp_status esp_file_read(const esp_comm *comm, const char *path, char **data, int64_t *bytes);

/* Write text as PATH.partial on rank 0, flush it to disk and rename it to PATH; "-" is stdout. A
 * link is followed: its target is written. IO on all ranks, and then nothing stands under PATH that
 * did not before. Collective on comm; equal on all ranks: path. */
esp_status esp_file_write_text(const esp_comm *comm, const char *path, const char *text);

/* The same of bytes, any; those of rank 0 are written, others may pass NULL and 0. Collective on
 * comm; equal on all ranks: path. */
esp_status esp_file_write_bytes(const esp_comm *comm, const char *path, const char *bytes,
                                int64_t count);

/* Fail early when PATH cannot be written: its folder is missing or not writable, PATH is there and
 * no plain file,
 * or the file system has fewer than bytes free (0: not asked). Removes a stale PATH.partial,
 * unless there is a PATH.journal to go on with it by (io/journal.h). IO on all ranks. Collective on
 * comm; equal on all ranks: path, bytes. */
esp_status esp_file_check_writable(const esp_comm *comm, const char *path, int64_t bytes);

/* Bytes that are free where PATH is or will be; -1: its folder does not say. Local. */
double esp_file_count_free_local(const char *path);

/* Rename PATH.partial to PATH after flushing it to disk; on IO the partial file is removed.
 * Collective on comm; equal on all ranks: path. */
esp_status esp_file_commit(const esp_comm *comm, const char *path);

/* Remove PATH.partial if it is there. Collective on comm (rank 0 acts); equal on all ranks: path.
 */
void esp_file_abandon(const esp_comm *comm, const char *path);

ESP_C_END

#endif
