/* Boxes of an array and how to move them piece by piece. All local and pure. */
#ifndef ESPALIER_SRC_IO_BOX_H
#define ESPALIER_SRC_IO_BOX_H

#include "espalier/io/h5.h"

/* Elements begin .. begin + count - 1 along each axis; rank 0 is a scalar. */
typedef struct esp_box {
  int rank;
  int64_t begin[ESP_MAX_RANK], count[ESP_MAX_RANK];
} esp_box;

/* How a box is cut: pieces of at most step elements along each axis, each contiguous in memory. */
typedef struct esp_box_cut {
  int64_t step[ESP_MAX_RANK], parts[ESP_MAX_RANK];
  int64_t pieces; // in all; 0 for an empty box
} esp_box_cut;

int64_t esp_box_count(const esp_box *box);
/* The whole of a shape. */
esp_box esp_box_whole(const esp_h5_shape *shape);
/* Cut a box into pieces of at most most_bytes (one element at least). */
esp_box_cut esp_box_cut_into(const esp_box *box, int64_t element_bytes, int64_t most_bytes);
/* Get piece i in file coordinates, and the index of its first element in the box. */
esp_box esp_box_piece(const esp_box *box, const esp_box_cut *cut, int64_t i, int64_t *first);

#endif
