/* Text that a command reads, by the tokenizer of its model. */
#ifndef ESPALIER_FLOW_TEXT_SAMPLES_H
#define ESPALIER_FLOW_TEXT_SAMPLES_H

#include "espalier/core/c_linkage.h"
#include "espalier/flow/samples.h"
#include "espalier/io/text_data.h"

ESP_C_BEGIN

/* Where a model's tokenizer.json is: of a pruned one with the model that it was cut from, however
 * many cuts ago; else in its folder, or beside its file. USAGE: in none of these. *path is owned by the caller. Collective on
 * comm (rank 0 looks); equal on all ranks: model. */
esp_status esp_find_tokenizer(const esp_comm *comm, const esp_model *model, char **path);

/* The token between documents: eos_token or sep_token of tokenizer_config.json beside the
 * tokenizer, else eos_token_id of the model's configuration; -1: none. FORMAT. Collective on comm;
 * equal on all ranks: all that goes in. */
esp_status esp_find_end_token(const esp_comm *comm, const esp_model *model,
                              const esp_tokenizer *tokenizer, const char *tokenizer_path,
                              int32_t *token);

/* Tokens of a row where --context does not say: the model's longest, or what its configuration says
 * that it was trained for, but not more than ESP_TEXT_CONTEXT. Local. */
enum { ESP_TEXT_CONTEXT = 512 };
int64_t esp_choose_context(const esp_model *model);

/* Read the text of self->data for a model, and log what it is. What the above and esp_text_open
 * say. Collective on comm; equal on all ranks: self, model. */
esp_status esp_samples_open_text(const esp_comm *comm, const esp_samples *self,
                                 const esp_model *model, esp_dataset **data);

ESP_C_END

#endif
