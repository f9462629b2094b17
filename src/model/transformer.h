/* What transformer families share: reading of sizes, linears, norms and stages of a block. */
#ifndef ESPALIER_SRC_MODEL_TRANSFORMER_H
#define ESPALIER_SRC_MODEL_TRANSFORMER_H

#include "activation.h"

#include "espalier/model/family.h"

/* A size of a configuration, and what it is where it is absent or null: the default of
 * transformers' class, 0: there is none. */
typedef struct tf_size {
  const char *key;
  int64_t otherwise;
} tf_size;

/* Sizes from 1 to 2^24. A size of a layer is that of "per_layer_config", an object by layer index
 * as transformers 5 writes it, where that has one, else the configuration's own; only there it may
 * be 0: the layer has no such sub-layer. FORMAT. */
esp_status tf_get_size(const json_t *config, tf_size size, int64_t *value);
esp_status tf_get_layer_size(const json_t *config, int layer, tf_size size, int64_t *value);
/* The same of heads of a size, together at most 2^24 wide. */
esp_status tf_get_layer_heads(const json_t *config, int layer, tf_size size, int64_t head_size,
                              int64_t *heads);
/* The member as it holds for a layer, or NULL. */
const json_t *tf_get_layer_member(const json_t *config, int layer, const char *key);
/* Check that "per_layer_config" names layers that exist and only members among keys (ended by
 * NULL). FORMAT. */
esp_status tf_check_layers(const json_t *config, int n_layers, const char *const *keys);
/* Set the size of every layer l to values[l * stride]; that of the first layer that has any is the
 * configuration's own (which stays where none has), those that differ from it are in
 * "per_layer_config". */
void tf_set_layer_sizes(json_t *config, const char *key, int n_layers, const int64_t *values,
                        int stride);

/* Read a member that may be absent or null: it is then left as it is. FORMAT: of another type. */
esp_status tf_get_real_or(const json_t *config, const char *key, double *value);
esp_status tf_get_text_or(const json_t *config, const char *key, const char **value);
esp_status tf_get_flag_or(const json_t *config, const char *key, bool *value);
/* Whether queries see no later keys: "is_causal" says otherwise where it is there and false, or
 * null, as in transformers. */
esp_status tf_get_causal(const json_t *config, bool *is_causal);
/* Read "head_dim", or size / heads of the configuration, which must then divide. FORMAT. */
esp_status tf_get_head_size(const json_t *config, tf_size heads, int64_t size, int64_t *head_size);
/* Write "head_dim" where size / heads does not say it. */
void tf_set_head_size(json_t *config, const char *heads_key, int64_t size, int64_t head_size);
/* A class of transformers that divides the hidden size by the heads: say why it cannot build a
 * configuration with "head_dim", if it has one. true, for such a family's needs_all_heads. */
void tf_explain_heads(const json_t *config, const char *heads_key, const char *size_key, char *why,
                      size_t size);
bool tf_needs_all_heads(const esp_model *model);
/* Read a number of layers, 1 to 4096. FORMAT. */
esp_status tf_get_layer_count(const json_t *config, tf_size layers, int *n_layers);

/* Add <name>.weight and, unless shape.bias is -1, <name>.bias. */
esp_linear tf_add_linear(esp_model *model, int stage, esp_linear shape, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Add <name>.weight and <name>.bias of a LayerNorm over the hidden dimensions; returns the index of
 * the first. */
int tf_add_norm(esp_model *model, int stage, int64_t n, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void tf_apply_norm(const esp_model *model, int norm, double epsilon, int64_t rows, const float *x,
                   float *y);

/* y (rows, outputs) = factor f(x W^T + b), element by element. */
typedef struct tf_rows {
  int64_t n;
  const float *x;      // (n, inputs)
  const float *factor; // (n, outputs); NULL: 1
} tf_rows;
void tf_linear_activate(const esp_model *model, const esp_linear *linear, const tf_rows *in,
                        const esp_activation *activation, float *y);

/* Backward: what some linears read, x (rows, inputs), and its gradient dx, to which each adds. */
typedef struct tf_input {
  const esp_call *call;
  int64_t rows;
  const float *x;
  float *dx;
  float *const *gradients; // NULL: none
  float *remade;           // gets the stage's x once more; NULL: not wanted
} tf_input;
void tf_linear_backward(const tf_input *self, const esp_linear *linear, const float *dy);
/* From the gradient of a LayerNorm's result to that of what it read, self->dx, which may be dy. */
void tf_norm_backward(const tf_input *self, int norm, double epsilon, const float *dy);
/* Of x = f(up(input)), computed again, from its gradient dx. */
void tf_activated_backward(const tf_input *self, const esp_linear *up,
                           const esp_activation *activation, const float *dx);
/* That of a weight, or NULL. */
static inline float *tf_get_gradient(float *const *gradients, int weight) {
  return gradients ? gradients[weight] : NULL;
}

/* Say that a linear's outputs are hidden dimensions. */
void tf_add_writer(esp_model *model, const esp_linear *linear);
/* Add the residual stage <kind>.<layer> with its consumer; then the producers of its units, each
 * unit's share starting at `offset` of the linear's outputs. */
esp_stage *tf_add_stage(esp_model *model, const char *kind, int layer, int64_t width,
                        const esp_linear *consumer);
void tf_add_producer(esp_stage *stage, const esp_linear *linear, int64_t offset);

/* Whether a stage has lost all its units: it produces nothing, and gradients end there. */
static inline bool tf_is_empty(const esp_model *model, int stage) {
  return model->stages[stage].units == 0;
}
/* The gradient of what an empty stage reads: 0. */
void tf_clear_gradient(const esp_call *call, float *dstate);

bool tf_ends_with(const char *text, const char *end);

/* Normal matrices of the configuration's "initializer_range" (0.02), norms 1, biases 0. */
void tf_draw(const esp_model *model, uint64_t seed, esp_weight_range range, float *values);

#endif
