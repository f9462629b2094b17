#include "box.h"

int64_t esp_box_count(const esp_box *box) {
  int64_t count = 1;
  for (int d = 0; d < box->rank; d++) count *= box->count[d];
  return count;
}

esp_box esp_box_whole(const esp_h5_shape *shape) {
  esp_box box = {.rank = shape->rank};
  for (int d = 0; d < shape->rank; d++) box.count[d] = shape->dims[d];
  return box;
}

/* From the last axis up: axes are taken whole while they fit, one axis is cut, and those above it
 * are taken one by one. */
esp_box_cut esp_box_cut_into(const esp_box *box, int64_t element_bytes, int64_t most_bytes) {
  esp_box_cut cut = {.pieces = 1};
  int64_t room = most_bytes / element_bytes; // elements a piece
  for (int d = box->rank - 1; d >= 0; d--) {
    const int64_t count = box->count[d];
    if (count == 0) return (esp_box_cut){.pieces = 0};
    cut.step[d] = room < 1 ? 1 : room < count ? room : count;
    cut.parts[d] = (count - 1) / cut.step[d] + 1;
    cut.pieces *= cut.parts[d];
    room = cut.parts[d] > 1 ? 1 : room / count;
  }
  return cut;
}

esp_box esp_box_piece(const esp_box *box, const esp_box_cut *cut, int64_t i, int64_t *first) {
  esp_box piece = {.rank = box->rank};
  int64_t stride = 1;
  *first = 0;
  for (int d = box->rank - 1; d >= 0; d--) {
    const int64_t from = i % cut->parts[d] * cut->step[d], left = box->count[d] - from;
    piece.begin[d] = box->begin[d] + from;
    piece.count[d] = left < cut->step[d] ? left : cut->step[d];
    *first += from * stride;
    stride *= box->count[d];
    i /= cut->parts[d];
  }
  return piece;
}
