/* One weight tensor of a model: where it is stored, what of it stays, its values while loaded. */
#ifndef ESPALIER_MODEL_WEIGHT_H
#define ESPALIER_MODEL_WEIGHT_H

#include "espalier/core/c_linkage.h"
#include "espalier/io/h5.h"

ESP_C_BEGIN

/* The stage of an embedding's weights; those of the head have the number of stages. */
enum { ESP_STAGE_EMBED = -1 };

/* A cut model's weights are views: `keep` picks indices of the stored tensor,
 * and loading gathers and converts them; a repaired weight has its values in memory for good. */
typedef struct esp_weight {
  char *name;
  esp_dtype type; // in which it is written
  int rank;
  int64_t shape[ESP_MAX_RANK];
  int stage;          // the stage that loads it, ESP_STAGE_EMBED, or n_stages for the head
  const void *stored; // mapped, of the whole tensor; NULL for a model made in memory
  uint64_t hash;      // of what is stored, for esp_model_fingerprint; 0: not asked for yet
  float *drawn;       // stored itself where most of it comes of a seed, owned; else NULL
  int64_t stored_shape[ESP_MAX_RANK];
  int64_t *keep[ESP_MAX_RANK]; // owned indices along an axis, (shape[axis]); NULL: all
  uint8_t *mask;  // owned: bit i (byte i / 8) is 0 where element i is loaded as zero; NULL: none
  float *value;   // float32, C order, while loaded
  bool is_owned;  // value belongs to this weight, not to the mapping
  bool is_final;  // value is the truth (trained, repaired): never unloaded
  bool is_table;  // an embedding's, which esp_call_embed reads by esp_weight_read_rows
  unsigned users; // bits: its own stage, a tied head; it is unloaded with the last
} esp_weight;

/* Give a weight values of its own: (shape) float32, owned by the model, zeroed; is_final. Local. */
float *esp_weight_own(esp_weight *weight);
/* Keep the values of a loaded weight for good, as values of its own: is_final. Local. */
float *esp_weight_keep(esp_weight *weight);
/* Elements. Local. */
int64_t esp_weight_count(const esp_weight *weight);
/* Rows of a matrix as float32, whether it is loaded or not: out (n, shape[1]); rows (n) from 0 to
 * below shape[0]. Local. */
void esp_weight_read_rows(const esp_weight *weight, int64_t n, const int32_t *rows, float *out);

ESP_C_END

#endif
