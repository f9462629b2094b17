/* A model family: one file, one const object, one row in families.c. */
#ifndef ESPALIER_MODEL_FAMILY_H
#define ESPALIER_MODEL_FAMILY_H

#include "espalier/core/c_linkage.h"
#include "espalier/io/dataset.h"
#include "espalier/model/model.h"
#include "espalier/model/workspace.h"

ESP_C_BEGIN

/* The end of a weight's name, now and in older checkpoints. */
typedef struct esp_rename {
  const char *now, *then;
} esp_rename;

/* A tensor that is the same as another where the head is tied to the embedding, and may be stored
 * too, or alone. Where their values differ, the head is read as an untied one. */
typedef struct esp_copy {
  const char *name, *of; // as an untied head calls it, and as a tied one
} esp_copy;

/* Elements [begin, begin + n) of a weight. */
typedef struct esp_weight_range {
  int weight;
  int64_t begin, n;
} esp_weight_range;
/* Some logits of a vocabulary. */
typedef struct esp_logit_list {
  const int64_t *units; // (count), borrowed
  int64_t count;
} esp_logit_list;

/* What a function of a family works on: a micro-batch before a stage, ESP_STAGE_EMBED, or n_stages
 * for the head. Scratch arrays are taken from the workspace; who calls releases them. */
typedef struct esp_call {
  const esp_model *model;
  int stage;
  esp_batch batch;
  esp_workspace *workspace;   // borrowed
  const esp_logit_list *only; // logits that the head is asked for, borrowed; NULL: all. Only where
                              // there is a vocabulary, and with no way back
} esp_call;

/* What a backward function starts from. */
typedef struct esp_backward {
  esp_call call;
  const float *state;      // (rows, state_in): before the stage
  const float *x;          // (rows, F): its activation; NULL: remade, or nothing needs it
  float *remade;           // (rows, F) gets it from produce_backward, which computes what is inside
                           // the stage again anyway; NULL: not wanted
  float *const *gradients; // (n_weights), added to, each NULL: not wanted; NULL: activations' only
} esp_backward;

/* All functions are local. `rows` of a batch: images: one a sample; tokens: T a sample. States,
 * activations and logits are (rows, width) row-major. Weights of the stage at hand are loaded. */
struct esp_family {
  const char *name; // "model_type" of the configuration
  const char *summary;
  esp_data_kind input;
  const esp_rename *renames; // ended by NULL; NULL: none
  const esp_copy *copies;    // of a tied head, ended by NULL; NULL: none
  /* Add to the configuration of a checkpoint what only its tensors say. NULL: nothing. */
  void (*complete)(json_t *config, const esp_tensor_set *set);
  /* Fill model->weights, stages and sizes from model->config. FORMAT, USAGE. */
  esp_status (*describe)(esp_model *model);
  /* Change a copy of the configuration to `units` (n_stages + 1) units a site; the last is the
   * width, 0: as it is. */
  esp_status (*resize)(const esp_model *model, const int64_t *units, json_t *config);
  /* Say why the class of transformers cannot build the configuration; nothing: it can. NULL: it
   * always can. Whether it may be so once heads are removed; NULL: never. */
  void (*explain_loader)(const esp_model *model, char *why, size_t size);
  bool (*needs_all_heads)(const esp_model *model);
  const char *layers_key; // of the configuration: how many layers; NULL: none can go
  /* Set random initial weights: esp_family_init; and n of them, of one weight from an element on,
   * each a function of the seed and its place alone. */
  void (*init)(esp_model *model, uint64_t seed);
  void (*draw)(const esp_model *model, uint64_t seed, esp_weight_range range, float *values);
  void (*embed)(const esp_call *call, float *state);
  void (*produce)(const esp_call *call, const float *state, float *x);
  /* The residual stream (rows, D) as normalised for a stage's readers, n_stages: for the head's.
   * NULL where there is no such stream. */
  void (*read)(const esp_call *call, const float *state, float *normed);
  /* What follows the consumer's result in the state (post-norm encoders); NULL: nothing. */
  void (*finish)(const esp_call *call, float *state);
  /* logits (rows, n_outputs), or (samples, n_outputs) for classifiers and regression; may be the
   * state itself. */
  void (*head)(const esp_call *call, const float *state, float *logits);
  /* Backward of the head, produce, finish and embed. Residual stages without finish need no x:
   * produce sets remade. dstate (that of produce: without the residual)
   * is overwritten, and may be the same array as dlogits. NULL in a family that cannot be trained.
   */
  void (*head_backward)(const esp_backward *self, const float *dlogits, float *dstate);
  void (*produce_backward)(const esp_backward *self, const float *dx, float *dstate);
  /* dstate in place; given is what finish was given (rows, state_out). NULL with finish. */
  void (*finish_backward)(const esp_backward *self, const float *given, float *dstate);
  /* Called only where there are gradients. */
  void (*embed_backward)(const esp_backward *self, const float *dstate);
  /* Whether a tensor of a checkpoint that describe did not ask for may be left out (buffers, tied
   * copies); others are refused. NULL: none may. */
  bool (*ignores)(const esp_model *model, const char *tensor);
};

/* Draw all weights, which have values of their own. Local. */
void esp_family_init(esp_model *model, uint64_t seed);

/* Find by the model_type of a configuration; FORMAT names the known ones. Local. */
esp_status esp_family_find(const char *name, const esp_family **family);
/* The table, ended by NULL. */
extern const esp_family *const esp_families[];

ESP_C_END

#endif
