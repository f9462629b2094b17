/* The mask token of a masked model, and the special tokens that are never masked. */
#ifndef ESPALIER_TRAIN_MASK_TOKENS_H
#define ESPALIER_TRAIN_MASK_TOKENS_H

#include "espalier/core/c_linkage.h"
#include "espalier/flow/masking.h"
#include "espalier/model/model.h"
#include "espalier/train/options.h"

ESP_C_BEGIN

/* What tokenizer.json says. Caller's struct, zero-initialised. */
typedef struct esp_mask_tokens {
  int32_t mask;     // -1: it names none
  int32_t *special; // (n_special), owned
  int n_special;
  int64_t bytes; // of the file
} esp_mask_tokens;

/* Read tokenizer.json of a model's folder, or of the folder that its file lies in; nothing is found
 * where there is none. FORMAT: it is no JSON. Collective on comm; equal on all ranks: path. */
esp_status esp_mask_tokens_read(const esp_comm *comm, const char *path, esp_mask_tokens *tokens);
void esp_mask_tokens_clear(esp_mask_tokens *self);

/* How a masked model is to be trained. USAGE: no mask token is known, or it is not of the
 * vocabulary. special stays borrowed from tokens. Local. */
esp_status esp_mask_tokens_choose(const esp_mask_tokens *self, const esp_model *model,
                                  const esp_train_options *options, uint64_t seed,
                                  esp_masking *masking);

ESP_C_END

#endif
