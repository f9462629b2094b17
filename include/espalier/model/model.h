/* A model: weights, stages and sites, described by its family from the configuration.
 *
 * A network is an embedding, a chain of stages and a head. A stage is one sub-layer: it reads the
 * state (mlp: pre-activations; transformers: the residual stream), produces the activation x of its
 * site, and its consumer, a linear map, turns x into the next state: state = W x + b, or += where
 * the stage is residual. Units are removed from x: rows of the producers, columns of the consumers.
 */
#ifndef ESPALIER_MODEL_MODEL_H
#define ESPALIER_MODEL_MODEL_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/io/tensors.h"

#include <jansson.h>

ESP_C_BEGIN

/* One weight tensor. A cut model's weights are views: `keep` picks indices of the stored tensor,
 * and loading gathers and converts them; a repaired weight has its values in memory for good. */
typedef struct esp_weight {
  char *name;
  esp_dtype type; // in which it is written
  int rank;
  int64_t shape[ESP_MAX_RANK];
  int stage;          // the stage that loads it, ESP_STAGE_EMBED, or n_stages for the head
  const void *stored; // mapped, of the whole tensor; NULL for a model made in memory
  int64_t stored_shape[ESP_MAX_RANK];
  int64_t *keep[ESP_MAX_RANK]; // owned indices along an axis, (shape[axis]); NULL: all
  uint8_t *mask;  // owned: bit i (byte i / 8) is 0 where element i is loaded as zero; NULL: none
  float *value;   // float32, C order, while loaded
  bool is_owned;  // value belongs to this weight, not to the mapping
  bool is_final;  // value is the truth (trained, repaired): never unloaded
  unsigned users; // bits: its own stage, a tied head; it is unloaded with the last
} esp_weight;

enum { ESP_STAGE_EMBED = -1, ESP_MAX_SLICES = 8 };

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

/* What a model is evaluated by. */
typedef enum esp_task {
  ESP_TASK_CLASSIFY, // logits (samples, classes) against /labels
  ESP_TASK_LANGUAGE, // logits (rows, vocabulary): the next token
  ESP_TASK_MASKED,   // logits (rows, vocabulary): the token itself
  ESP_TASK_EMBED     // final states (rows, hidden size), by their cosine
} esp_task;

typedef struct esp_stage {
  char name[48];               // of its site: "hidden.0", "attention.3", "ffn.3"
  const char *kind;            // "hidden", "ffn", "attention"
  int64_t units, width;        // U, 0: nothing is left of it; features a unit: F = units * width
  int64_t state_in, state_out; // floats a row before and after
  bool is_residual;
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

typedef struct esp_family esp_family;

typedef struct esp_model {
  const esp_family *family;
  char *path;     // NULL for a model made in memory
  json_t *config; // owned
  char *details;  // JSON text of a pruned file's report, or NULL
  int n_weights, n_stages;
  esp_weight *weights;
  esp_stage *stages;
  esp_width width;
  int64_t n_inputs; // floats (or tokens) a sample reads
  esp_task task;
  bool is_head_tied;   // the head reads weights of the embedding
  const char *prefix;  // of weight names, which a checkpoint may lack ("transformer."); NULL: none
  int64_t n_outputs;   // logits a row
  int64_t max_length;  // longest sequence, tokens; 0: any
  int64_t vocabulary;  // token ids are below it; 0 for images
  int64_t token_types; // and token types below this; 0: none are read
  int64_t max_state;   // largest state, floats a row
  int64_t max_features;
  void *shape;            // the family's own numbers, owned (one block)
  esp_tensor_set *source; // owned; NULL for a model made in memory or cut from another
} esp_model;

/* Make whole groups the units of a stage: units / per_group of them, shared slices among the
 * producers. Nothing changes where per_group is 1. Local. */
void esp_stage_merge_groups(esp_stage *stage);

/* Open a checkpoint and check every tensor against the configuration. Weights stay mapped.
 * IO, FORMAT, MISMATCH (a tensor is missing or has another shape). Collective. */
esp_status esp_model_open(const esp_comm *comm, const char *path, esp_model **model);

/* Make a model from a configuration (a reference is taken): weights have shapes, but neither stored
 * nor own values. USAGE, FORMAT. Local. */
esp_status esp_model_new(json_t *config, esp_model **model);

/* Give every weight zeroed values of its own, for training. Local. */
void esp_model_own_all(esp_model *model);

/* Free; NULL inside is fine. A cut model must go before the one it was cut from. Local. */
void esp_model_free(esp_model **model);

/* Load (convert to float32) / unload the weights of a stage, of the embedding or of the head.
 * Loading twice is fine, and one unloading ends it. A tied head loads the embedding too, which goes
 * when neither needs it. NUMERIC: a weight is NaN or infinite, named. Local. */
esp_status esp_model_load_local(esp_model *model, int stage);
void esp_model_unload(esp_model *model, int stage);
/* The same of all. Local. */
esp_status esp_model_load_all_local(esp_model *model);
void esp_model_unload_all(esp_model *model);
/* Load all, and agree. Collective. */
esp_status esp_model_load_all(const esp_comm *comm, esp_model *model);

/* Give a weight values of its own: (shape) float32, owned by the model, zeroed; is_final. Local. */
float *esp_weight_own(esp_weight *weight);
int64_t esp_weight_count(const esp_weight *weight);

/* Add a weight or a stage; for families' describe. Returns its index, or the new zeroed stage.
 * Local. */
typedef struct esp_weight_shape {
  int stage, rank;
  int64_t dims[ESP_MAX_RANK];
} esp_weight_shape;
int esp_model_add_weight(esp_model *model, esp_weight_shape shape, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
esp_stage *esp_model_add_stage(esp_model *model);
/* Say that a weight's axis runs over the hidden dimensions (once is enough, twice is fine); that a
 * linear reads them for a stage, its input axis included. Local. */
void esp_model_add_width(esp_model *model, int weight, int axis);
void esp_model_add_reader(esp_model *model, int stage, const esp_linear *linear);
/* What reads the stream for a stage, or NULL; *n of them. Local. */
const esp_reader *esp_model_get_readers(const esp_model *model, int stage, int *n);
bool esp_model_has_width_axis(const esp_model *model, int weight, int axis);

/* A layer of a transformer is two stages: attention.l and ffn.l. */
enum { ESP_LAYER_STAGES = 2 };
/* Layers that can go as a whole; 0 without a residual stream. Local. */
int64_t esp_model_count_layers(const esp_model *model);
/* Change a configuration to the kept ones (n, ascending) of a model's layers. Local. */
void esp_config_keep_layers(const esp_model *model, const int64_t *kept, int64_t n, json_t *config);

int64_t esp_model_count_parameters(const esp_model *model);
/* Parameters that are not zero; loads stage by stage. Local. */
esp_status esp_model_count_nonzero_local(esp_model *model, int64_t *count);
/* Whether a weight is a matrix that some site can shrink; parameters of all those. Local. */
bool esp_model_is_prunable(const esp_model *model, int weight);
int64_t esp_model_count_prunable(const esp_model *model);
static inline int64_t esp_stage_features(const esp_stage *stage) {
  return stage->units * stage->width;
}

/* Hash of configuration and stored weights: the same at any rank count. Collective. */
uint64_t esp_model_fingerprint(const esp_comm *comm, const esp_model *model);

/* Write /config and /model/<name>, every rank its rows, in each weight's type. NUMERIC, IO.
 * Collective. */
esp_status esp_model_write(const esp_comm *comm, esp_model *model, esp_h5 *file);

/* Write model.safetensors, or shards of at most max_shard_bytes (0: no limit) and their index, into
 * an existing folder, every rank its rows. NUMERIC, IO: no weights are left there. Collective. */
typedef struct esp_model_files {
  int count;     // of safetensors files
  int64_t bytes; // of all of them
} esp_model_files;
esp_status esp_model_write_safetensors(const esp_comm *comm, esp_model *model, const char *folder,
                                       int64_t max_shard_bytes, esp_model_files *files);

/* Read members of a configuration. FORMAT names key, expected and found. Local. */
esp_status esp_config_get_int(const json_t *config, const char *key, int64_t low, int64_t *value);
esp_status esp_config_get_real(const json_t *config, const char *key, double *value);
esp_status esp_config_get_text(const json_t *config, const char *key, const char **value);

ESP_C_END

#endif
