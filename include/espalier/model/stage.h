/* Stages and their sites: which unit owns which slices of which weights. */
#ifndef ESPALIER_MODEL_STAGE_H
#define ESPALIER_MODEL_STAGE_H

#include "espalier/core/c_linkage.h"

#include <stdbool.h>
#include <stdint.h>

ESP_C_BEGIN

enum { ESP_MAX_SLICES = 8 };

/* Unit u of a site owns indices [offset + u width, offset + (u + 1) width) of a weight along an
 * axis. */
typedef struct esp_slice {
  int weight, axis;
  int64_t offset, width;
} esp_slice;

/* y = W x + b. W is (outputs, inputs), or (inputs, outputs) when input_major. */
typedef struct esp_linear {
  int weight, bias; // indices; bias -1: none
  bool input_major;
  int64_t outputs, inputs;
} esp_linear;

typedef struct esp_stage {
  char name[48];               // of its site: "hidden.0", "attention.3", "ffn.3"
  const char *kind;            // "hidden", "ffn", "attention"
  int64_t units, width;        // U, 0: nothing is left of it; features a unit: F = units * width
  int64_t state_in, state_out; // floats a row before and after
  bool is_residual;
  int64_t window; // tokens that an attention sees, the last its own; 0: all
  esp_linear consumer;
  int n_producers, n_consumers;
  esp_slice producers[ESP_MAX_SLICES], consumers[ESP_MAX_SLICES];
  /* Units come in `units / per_group` groups of per_group neighbours that share something (query
   * heads of one KV head); every group keeps equally many. 1 without groups. `shared` are slices of
   * one group each: they go only when whole groups are the units (esp_stage_merge_groups), or with
   * the stage's last unit. */
  int64_t per_group;
  int n_shared;
  esp_slice shared[ESP_MAX_SLICES];
} esp_stage;

/* A linear map that reads the residual stream as normalised for a stage, n_stages: for the head. */
typedef struct esp_reader {
  int stage;
  esp_linear linear;
} esp_reader;

/* The hidden dimensions: a site without a stage of its own, since all layers share it. Unit d owns
 * index d of the axis of every slice. */
typedef struct esp_width {
  int64_t units; // D; 0: the model has no residual stream
  int n_slices, n_readers;
  esp_slice *slices;   // of every weight that touches the stream, owned
  esp_reader *readers; // by ascending stage, owned
} esp_width;

#define ESP_SITE_WIDTH "width"

/* Make whole groups the units of a stage: units / per_group of them, shared slices among the
 * producers. Nothing changes where per_group is 1. Local. */
void esp_stage_merge_groups(esp_stage *stage);

/* Features a row of a stage's activation: F. Local. */
static inline int64_t esp_stage_features(const esp_stage *stage) {
  return stage->units * stage->width;
}

ESP_C_END

#endif
