/* Named tensors of a checkpoint, memory-mapped. Rank 0 reads and checks the table of contents
 * and broadcasts it; every rank maps the files, so that the ranks of a node share the page cache.
 */
#ifndef ESPALIER_IO_TENSORS_H
#define ESPALIER_IO_TENSORS_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/io/h5.h"

ESP_C_BEGIN

typedef struct esp_tensor {
  char *name; // as in the checkpoint
  esp_dtype type;
  char foreign_type[16]; // its name where esp_dtype has no such type, type and shape are of bytes
  int rank;
  int64_t shape[ESP_MAX_RANK];
  int64_t offset;   // bytes from the start of its file
  int file;         // index into files
  const void *data; // mapped, C order, any alignment; valid until the set is closed
} esp_tensor;

typedef struct esp_tensor_set {
  char *path;    // as given
  char *config;  // JSON text of the model's configuration
  char *details; // JSON text: what else the file says of itself (report of a pruned model), or NULL
  bool is_masked; // a folder's: what is zero in its prunable matrices is masked (its __metadata__)
  int n_tensors, n_files;
  esp_tensor *tensors; // sorted by name
  char **files;        // paths
  const void **maps;   // (n_files)
  int64_t *map_bytes;  // (n_files)
} esp_tensor_set;

/* Open a checkpoint: an Espalier HDF5 file (/model, /config), or a Hugging Face folder (config.json
 * and model.safetensors, or model.safetensors.index.json and its shards); formats are a table in
 * src/io/tensors/tensors.c. IO: missing file or shard; FORMAT: none of the known formats,
 * truncated, wrong version, chunked or compressed datasets, any field of a safetensors header or
 * index that does not fit its file, weights that are not safetensors. Types that esp_dtype lacks
 * (U32, I8, BOOL) have one of their size in its place, or U8 (I16, F8_E4M3): they are there to be
 * ignored. Collective on comm; equal on all ranks: path. */
esp_status esp_tensor_set_open(const esp_comm *comm, const char *path, esp_tensor_set **set);
/* Unmap and free; NULL inside is fine. Local. */
void esp_tensor_set_close(esp_tensor_set **set);

/* Find by name; NULL if missing. Local. */
const esp_tensor *esp_tensor_set_find(const esp_tensor_set *set, const char *name);
int64_t esp_tensor_count_elements(const esp_tensor *tensor);
/* Whether its values are floating-point numbers that can be read (F32, F16, BF16, F64). Local. */
bool esp_tensor_is_floating(const esp_tensor *tensor);

/* Version of Espalier's own files (models and statistics); stored in /meta. */
enum { ESP_FILE_VERSION = 1 };
#define ESP_MODEL_KIND "espalier-model" // kind of a model's file
/* Write /meta (JSON: {"format": kind, "version": ...} and the members of extra, NULL for none; rank
 * 0's counts) to a created file; read and check it, *json is owned by the caller. FORMAT: missing,
 * another kind, a newer version. Collective on file; equal on all ranks: kind. */
esp_status esp_meta_write(esp_h5 *file, const char *kind, const char *extra_json);
esp_status esp_meta_read(esp_h5 *file, const char *kind, char **json);

ESP_C_END

#endif
