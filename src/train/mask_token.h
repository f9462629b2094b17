/* The mask token of a masked model, and the special tokens that are never masked. */
#ifndef ESPALIER_SRC_TRAIN_MASK_TOKEN_H
#define ESPALIER_SRC_TRAIN_MASK_TOKEN_H

#include "espalier/flow/masking.h"
#include "espalier/model/model.h"
#include "espalier/train/options.h"

/* What tokenizer.json says. Caller's struct. */
typedef struct mask_tokens {
  int32_t mask;     // -1: it names none
  int32_t *special; // (n_special), owned
  int n_special;
} mask_tokens;

/* Read tokenizer.json of a model's folder, or of the folder that its file lies in; nothing is found
 * where there is none. FORMAT: it is no JSON. Collective on comm; equal on all ranks: path. */
esp_status mask_tokens_read(const esp_comm *comm, const char *path, mask_tokens *tokens);
void mask_tokens_clear(mask_tokens *self);

/* How a masked model is to be trained. USAGE: no mask token is known, or it is not of the
 * vocabulary. special stays borrowed from tokens. Local. */
esp_status mask_tokens_choose(const mask_tokens *self, const esp_model *model,
                              const esp_train_options *options, uint64_t seed,
                              esp_masking *masking);

#endif
