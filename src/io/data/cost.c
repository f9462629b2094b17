#include "espalier/io/cost.h"

double esp_dataset_bytes(const esp_dataset *dataset) {
  const double word = sizeof(int32_t), count = (double)dataset->count;
  const double cells = count * (double)dataset->width;
  double bytes = dataset->pixels ? cells : 0.0;
  if (dataset->tokens) bytes += word * cells;
  if (dataset->types) bytes += word * cells;
  if (dataset->labels) bytes += word * count;
  if (dataset->lengths) bytes += word * count;
  if (dataset->targets) bytes += sizeof(float) * count * (double)dataset->n_targets;
  return bytes;
}
