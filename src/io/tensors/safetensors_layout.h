/* Where tensors go in safetensors files: pure, the same on all ranks. */
#ifndef ESPALIER_SRC_IO_SAFETENSORS_LAYOUT_H
#define ESPALIER_SRC_IO_SAFETENSORS_LAYOUT_H

#include "espalier/io/safetensors_write.h"

/* A tensor's bytes in its file. */
typedef struct safetensors_place {
  int shard;
  int64_t offset, bytes; // in the file
} safetensors_place;

typedef struct safetensors_shard {
  char *name;                // "model.safetensors", owned
  char *head;                // length word and header, owned
  int64_t head_bytes, bytes; // of the head; of the file
} safetensors_shard;

typedef struct safetensors_layout {
  int n_tensors, n_shards;
  safetensors_place *places; // (n_tensors)
  safetensors_shard *shards; // (n_shards)
  char *index;               // JSON text of the index; NULL for one file
} safetensors_layout;

/* Lay out. MISMATCH: a name twice, sizes beyond 2^63. Clear after failures too. Local. */
esp_status safetensors_layout_init(safetensors_layout *self, const esp_safetensors_plan *plan);
void safetensors_layout_clear(safetensors_layout *self);

#endif
