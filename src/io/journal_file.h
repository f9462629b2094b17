/* The file behind a journal: records on disk. Rank 0 alone has one open. All local. */
#ifndef ESPALIER_SRC_IO_JOURNAL_FILE_H
#define ESPALIER_SRC_IO_JOURNAL_FILE_H

#include "espalier/core/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { JOURNAL_NAME_BYTES = 160 };

typedef struct journal_record {
  char *name;     // owned
  int64_t offset; // of the payload in the file
  int64_t bytes;
} journal_record;

typedef struct journal_file {
  char *path;              // owned
  int fd;                  // locked; -1: not open
  bool is_torn;            // there was something behind the last whole record
  double synced_s;         // when it was last flushed to disk
  uint64_t hash;           // of the last record
  int64_t end;             // of the last record
  int count, capacity;     // of the records
  journal_record *records; // owned
} journal_file;

/* Open or make the file, lock it and list its whole records; the rest is cut off at the next
 * append. IO: another process holds it. */
esp_status journal_file_open(const char *path, journal_file *self);
void journal_file_close(journal_file *self);
/* Begin an empty journal. */
esp_status journal_file_empty(journal_file *self);
/* Append and list; flushed to disk at most once a second, since what a dead process has written
 * stays, and what a dead node loses is found torn. */
esp_status journal_file_append(journal_file *self, const char *name, const void *data,
                               int64_t bytes);
/* Flush to disk now. */
esp_status journal_file_sync(journal_file *self);
esp_status journal_file_read(const journal_file *self, const journal_record *record, void *data);
/* Add to the list. */
void journal_file_list(journal_file *self, const char *name, int64_t offset, int64_t bytes);

#endif
