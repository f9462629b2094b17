/* Tokens that a masked model has to find, as BERT was trained [Devlin et al., "BERT", 2019]: of
 * every sequence a part of the tokens; of these 80 % become the mask token, 10 % another token, and
 * 10 % stay. Which ones is a function of (seed, pass, sample, position) alone. */
#ifndef ESPALIER_FLOW_MASKING_H
#define ESPALIER_FLOW_MASKING_H

#include "espalier/core/c_linkage.h"
#include "espalier/io/dataset.h"

ESP_C_BEGIN

/* Caller's struct. */
typedef struct esp_masking {
  double rate;            // part of the tokens
  int32_t token;          // the mask token
  int64_t vocabulary;     // other tokens are below it
  const int32_t *special; // (n_special) tokens that are never chosen, borrowed
  int n_special;
  uint64_t seed, pass; // pass: of the data, so that every epoch has other masks
} esp_masking;

/* Mask sample `sample` of the data, the s-th of a batch that has been read into buffer: its tokens
 * change, and batch->hidden says what they were. A sequence in which the draw chose nothing has
 * its first token that may be chosen masked. Local. */
void esp_masking_apply(const esp_masking *self, int64_t sample, int64_t s, esp_batch_buffer *buffer,
                       esp_batch *batch);

ESP_C_END

#endif
