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
#include "espalier/model/config.h"
#include "espalier/model/stage.h"
#include "espalier/model/weight.h"

#include <jansson.h>

ESP_C_BEGIN

/* What a model is evaluated by. */
typedef enum esp_task {
  ESP_TASK_CLASSIFY,   // logits (samples, classes) against /labels
  ESP_TASK_LANGUAGE,   // logits (rows, vocabulary): the next token
  ESP_TASK_MASKED,     // logits (rows, vocabulary): the token itself
  ESP_TASK_EMBED,      // final states (rows, hidden size), by their cosine
  ESP_TASK_REGRESS,    // outputs (samples, n) against numbers in /labels
  ESP_TASK_MULTI_LABEL // logits (samples, n) against n labels that do not exclude each other
} esp_task;

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
  bool is_head_tied;  // the head reads weights of the embedding
  bool is_masked;     // what is zero in its prunable matrices is masked: it stays zero (report)
  bool is_drawn;      // written as the seed of its first values, and what has become another
  uint64_t seed;      // of them
  bool is_untied;     // the checkpoint's configuration ties it, but another head is stored
  const char *prefix; // of weight names, which a checkpoint may lack ("transformer."); NULL: none
  const char *unread_head; // a linear map that is kept, but not evaluated (static); NULL: none
  int64_t n_outputs;       // logits a row
  int64_t max_length;      // longest sequence, tokens; 0: any
  int64_t vocabulary;      // token ids are below it; 0 for images
  int64_t token_types;     // and token types below this; 0: none are read
  int64_t max_state;       // largest state, floats a row
  int64_t max_features;
  void *shape;            // the family's own numbers, owned (one block)
  esp_tensor_set *source; // owned; NULL for a model made in memory or cut from another
} esp_model;

/* Open a checkpoint and check every tensor against the configuration. Weights stay mapped. A head
 * that the configuration ties to the embedding, but that is stored with other values, is untied,
 * with a warning.
 * IO, FORMAT, MISMATCH (a tensor is missing or has another shape). Collective on comm; equal on
 * all ranks: path. */
esp_status esp_model_open(const esp_comm *comm, const char *path, esp_model **model);
/* The same, where tensors that no weight uses may be there if `ignored` names them: patterns of
 * fnmatch with commas between them, NULL for none. Collective on comm; equal on all ranks: path,
 * ignored. */
esp_status esp_model_open_ignoring(const esp_comm *comm, const char *path, const char *ignored,
                                   esp_model **model);

/* Open a checkpoint, or, where path is a file *.json or a folder with config.json and no weights,
 * the model that it describes: weights have shapes and the type that "dtype" or "torch_dtype" names
 * (none: float32), but no values, so that nothing of it can be loaded. As
 * esp_model_open_ignoring. Collective on comm; equal on all ranks: path, ignored. */
esp_status esp_model_open_described(const esp_comm *comm, const char *path, const char *ignored,
                                    esp_model **model);

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
/* Load the embedding for esp_call_embed alone: tables that would have to be converted are only
 * looked through. Unloaded as the others; what loads it besides finds all of it. NUMERIC, likewise.
 * Local. */
esp_status esp_model_load_embedding_local(esp_model *model);
void esp_model_unload(esp_model *model, int stage);
/* The same of all. Local. */
esp_status esp_model_load_all_local(esp_model *model);
void esp_model_unload_all(esp_model *model);
/* Load all, and agree. Collective on comm; equal on all ranks: model. */
esp_status esp_model_load_all(const esp_comm *comm, esp_model *model);

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
enum { ESP_FULL_LAYERS = 28 }; // "max_window_layers" where it is absent, as in transformers
void esp_config_keep_layers(const esp_model *model, const int64_t *kept, int64_t n, json_t *config);

/* Parameters of all weights. Local. */
int64_t esp_model_count_parameters(const esp_model *model);
/* Parameters that are not zero; loads stage by stage. Local. */
esp_status esp_model_count_nonzero_local(esp_model *model, int64_t *count);
/* Whether a weight is a matrix that some site can shrink; parameters of all those. Local. */
bool esp_model_is_prunable(const esp_model *model, int weight);
int64_t esp_model_count_prunable(const esp_model *model);

/* Hash of configuration and stored weights: the same at any rank count. Collective on comm; equal
 * on all ranks: model. */
uint64_t esp_model_fingerprint(const esp_comm *comm, const esp_model *model);

/* Write /config and /model/<name>, every rank its rows, in each weight's type. NUMERIC, IO.
 * Collective on comm, which the file must have too; equal on all ranks: model. */
esp_status esp_model_write(const esp_comm *comm, esp_model *model, esp_h5 *file);

/* Write model.safetensors, or shards of at most max_shard_bytes (0: no limit) and their index, into
 * an existing folder, every rank its rows. NUMERIC, IO: no weights are left there. Collective on
 * comm; equal on all ranks: all that goes in. */
typedef struct esp_model_files {
  int count;     // of safetensors files
  int64_t bytes; // of all of them
} esp_model_files;
esp_status esp_model_write_safetensors(const esp_comm *comm, esp_model *model, const char *folder,
                                       int64_t max_shard_bytes, esp_model_files *files);

ESP_C_END

#endif
