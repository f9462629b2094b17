/* Write a checkpoint's tensors as safetensors: all ranks at once, each its rows, complete or
 * absent. */
#ifndef ESPALIER_IO_SAFETENSORS_WRITE_H
#define ESPALIER_IO_SAFETENSORS_WRITE_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/io/h5.h"

ESP_C_BEGIN

typedef struct esp_safetensors_entry {
  const char *name; // borrowed
  esp_dtype type;
  int rank;
  int64_t shape[ESP_MAX_RANK];
} esp_safetensors_entry;

typedef struct esp_safetensors_writer esp_safetensors_writer;

/* What is to be written. */
typedef struct esp_safetensors_plan {
  const char *folder;                   // borrowed; exists
  const esp_safetensors_entry *entries; // borrowed
  int count;
  int64_t max_shard_bytes; // of tensors a file; 0: no limit
  bool is_masked;          // said in every file: what is zero in prunable matrices stays zero
} esp_safetensors_plan;

/* Lay the tensors out in the order given and make the files, with their headers and with room set
 * aside, as NAME.partial: model.safetensors, or, where that passes max_shard_bytes, shards
 * model-00001-of-00003.safetensors; a tensor that is larger gets one of its own. comm is borrowed
 * and must outlive the writer. IO: no such folder, no permission, no room; MISMATCH: a name twice,
 * ranks differ in what is to be written. Collective on comm; equal on all ranks: plan. */
esp_status esp_safetensors_create(const esp_comm *comm, const esp_safetensors_plan *plan,
                                  esp_safetensors_writer **writer);

/* Get this rank's rows of a tensor: its block of the first axis; a scalar is one row, of rank 0.
 * Local. */
typedef struct esp_safetensors_rows {
  int64_t begin, count;
} esp_safetensors_rows;
esp_safetensors_rows esp_safetensors_get_rows_local(const esp_safetensors_writer *writer,
                                                    int tensor);

/* Write a tensor, every rank its rows, in the tensor's type; NULL where there are none. Tensors in
 * any order; in the one given no file is opened twice. IO. Collective on writer; equal on all
 * ranks: tensor. */
esp_status esp_safetensors_write(esp_safetensors_writer *writer, int tensor, const void *rows);

/* What was laid out: files, and bytes of all of them. Local. */
int esp_safetensors_count_files_local(const esp_safetensors_writer *writer);
int64_t esp_safetensors_count_bytes_local(const esp_safetensors_writer *writer);

/* Finish: flush on every rank, rename, and write model.safetensors.index.json where there are
 * shards. IO, MISMATCH (a tensor was not written): nothing is left. *writer becomes NULL.
 * Collective on *writer. */
esp_status esp_safetensors_commit(esp_safetensors_writer **writer);
/* Close; files that were not committed are removed. NULL inside is fine. Collective on *writer. */
void esp_safetensors_close(esp_safetensors_writer **writer);

ESP_C_END

#endif
