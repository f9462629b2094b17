#include "dataset_format.h"

#include "espalier/core/hash.h"

static int32_t find_largest(const int32_t *values, int64_t count) {
  int32_t largest = -1;
  for (int64_t i = 0; values && i < count; i++)
    if (values[i] > largest) largest = values[i];
  return largest;
}

/* An absent array counts as one byte, so that no two kinds of content chain alike. */
static uint64_t hash_array(uint64_t chain, const int32_t *values, int64_t count) {
  const char has = values != NULL;
  chain = esp_hash(chain, &has, sizeof has);
  return has ? esp_hash(chain, values, (size_t)count * sizeof *values) : chain;
}

void dataset_describe_tokens(esp_dataset *dataset) {
  const int64_t dims[] = {dataset->count, dataset->width}, n = dims[0], all = n * dims[1];
  dataset->kind = ESP_DATA_TOKENS;
  dataset->classes = find_largest(dataset->labels, n) + 1;
  dataset->max_token = find_largest(dataset->tokens, all);
  dataset->max_type = dataset->types ? find_largest(dataset->types, all) : 0;
  uint64_t hash = esp_hash(0, dims, sizeof dims);
  hash = hash_array(hash, dataset->tokens, all);
  hash = hash_array(hash, dataset->lengths, n);
  hash = hash_array(hash, dataset->labels, n);
  hash = hash_array(hash, dataset->types, all);
  if (dataset->targets)
    hash = esp_hash(hash, dataset->targets,
                    (size_t)(n * dataset->n_targets) * sizeof *dataset->targets);
  dataset->fingerprint = hash;
}
