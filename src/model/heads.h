/* Heads of one linear map on a normalised residual stream: a table of each family, found by the end
 * of the configuration's "architectures". */
#ifndef ESPALIER_SRC_MODEL_HEADS_H
#define ESPALIER_SRC_MODEL_HEADS_H

#include "espalier/model/family.h"

typedef struct tf_head {
  const char *ending; // of the architecture's name; NULL ends the table: language models
  const char *linear; // name of the map; NULL: none
  bool has_bias;
  int64_t outputs; // 0: as many as there are labels
  /* CLASSIFY, or what problem_type makes of it: a row a sequence, of its last token; EMBED: the
   * stream itself is what is evaluated, and the map is only kept. */
  esp_task task;
  bool has_old_prefix; // the base model is called "transformer.", whatever the family calls it
} tf_head;

/* What a decoder keeps of its head. */
typedef struct tf_decoder_head {
  esp_linear linear;
  int64_t padding; // id of tokens that are no last ones; -1: none
} tf_decoder_head;

/* The row for the configuration. A base model whose head is tied is a language model. Local. */
const tf_head *tf_head_find(const json_t *config, const tf_head *rows, bool is_tied);
/* Where the configuration does not say what the tensors have, write its "architectures": the class
 * by the map that is stored, name + ending; language's for a base model with a head; and the base
 * model's for a language model that lacks head and names of its own. Local. */
typedef struct tf_classes {
  const tf_head *rows;
  const char *name, *language; // "Llama", "ForCausalLM"
  const char *embedding;       // as a base model calls it: "embed_tokens.weight"
  bool is_tied;                // where the configuration does not say
} tf_classes;
void tf_head_complete(const tf_classes *classes, json_t *config, const esp_tensor_set *set);

/* Set task and outputs, and add the map but a language model's, a reader of the stream. FORMAT. */
esp_status tf_head_describe(esp_model *model, const tf_head *head, int64_t hidden,
                            tf_decoder_head *self);
/* As transformers: the entries of "id2label", else "num_labels", else 2. FORMAT. */
esp_status tf_count_labels(const json_t *config, int64_t *labels);
/* The task of a classifier by "problem_type"; as transformers where that is absent: one label is a
 * number. FORMAT. */
esp_status tf_find_label_task(const json_t *config, int64_t n_labels, esp_task *task);

/* Rows that a decoder's head reads: all, or of each sequence the last that is no padding. Gather
 * returns x itself, or scratch; scatter puts gradients in their places, 0 in others, and may work
 * in place where all are read. */
int64_t tf_head_count_rows(const esp_call *call);
const float *tf_head_gather(const tf_decoder_head *self, const esp_call *call, int64_t n,
                            const float *x);
void tf_head_scatter(const tf_decoder_head *self, const esp_call *call, int64_t n,
                     const float *gathered, float *x);
/* The last map of a head, (outputs, inputs): all logits (rows, outputs), or those that the call
 * asks for (rows, count). */
void tf_head_map(const esp_call *call, const esp_linear *linear, int64_t rows, const float *x,
                 float *logits);

#endif
