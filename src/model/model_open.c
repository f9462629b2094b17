#include "config_json.h"
#include "copies.h"
#include "drawn.h"
#include "stray.h"

#include "espalier/core/hash.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <string.h>

static esp_status fail_shape(const esp_model *model, const esp_weight *weight,
                             const esp_tensor *tensor) {
  char *expected = esp_dims_format(weight->rank, weight->shape);
  char *found = esp_dims_format(tensor->rank, tensor->shape);
  const char *type = *tensor->foreign_type ? tensor->foreign_type : esp_dtype_name(tensor->type);
  const esp_status status = esp_fail(
      ESP_MISMATCH, "%s: tensor '%s': expected shape %s from the configuration, found %s %s; %s",
      model->path, weight->name, expected, type, found,
      esp_tensor_is_floating(tensor) ? "configuration and weights do not belong together"
                                     : "convert the weights to F32, F16, BF16 or F64");
  esp_free(&found);
  esp_free(&expected);
  return status;
}

static const esp_tensor *find_renamed(const esp_model *model, const char *name,
                                      const esp_rename *rename) {
  const size_t length = strlen(name), end = strlen(rename->now);
  if (length < end || strcmp(name + length - end, rename->now) != 0) return NULL;
  char *then = esp_format("%.*s%s", (int)(length - end), name, rename->then);
  const esp_tensor *tensor = esp_tensor_set_find(model->source, then);
  esp_free(&then);
  return tensor;
}

/* By its name, or as it ended in older checkpoints. */
static const esp_tensor *find_named(const esp_model *model, const char *name) {
  const esp_tensor *tensor = esp_tensor_set_find(model->source, name);
  for (const esp_rename *row = model->family->renames; row && row->now && !tensor; row++)
    tensor = find_renamed(model, name, row);
  return tensor;
}

/* With the family's prefix, or without it, which the weight's name then does without, too. */
static const esp_tensor *find_own_tensor(const esp_model *model, esp_weight *weight) {
  const esp_tensor *tensor = find_named(model, weight->name);
  const size_t length = model->prefix ? strlen(model->prefix) : 0;
  if (tensor || length == 0 || strncmp(weight->name, model->prefix, length) != 0) return tensor;
  tensor = find_named(model, weight->name + length);
  if (tensor) {
    char *name = esp_strdup(weight->name + length);
    esp_free(&weight->name);
    weight->name = name;
  }
  return tensor;
}

static const esp_tensor *find_tensor(const esp_model *model, esp_weight *weight) {
  const esp_tensor *tensor = find_own_tensor(model, weight);
  return tensor ? tensor : copies_find_tensor(model, weight->name);
}

/* A tensor under a longer name that ends like the weight's, as wrappers of modules make it. */
static const char *find_wrapped(const esp_model *model, const char *name) {
  const size_t length = strlen(name);
  for (int i = 0; i < model->source->n_tensors; i++) {
    const char *found = model->source->tensors[i].name;
    const size_t more = strlen(found) > length ? strlen(found) - length : 0;
    if (more > 0 && found[more - 1] == '.' && strcmp(found + more, name) == 0) return found;
  }
  return NULL;
}

static esp_status fail_missing(const esp_model *model, const esp_weight *weight) {
  const char *wrapped = find_wrapped(model, weight->name);
  if (wrapped)
    return esp_fail(ESP_MISMATCH,
                    "%s: expected a tensor '%s' for this configuration, found '%s'; save the model "
                    "without what wraps it, so that names do not begin with '%.*s'",
                    model->path, weight->name, wrapped,
                    (int)(strlen(wrapped) - strlen(weight->name)), wrapped);
  return esp_fail(ESP_MISMATCH,
                  "%s: expected a tensor '%s' for this configuration, found none "
                  "among %d tensors; the checkpoint is incomplete",
                  model->path, weight->name, model->source->n_tensors);
}

static esp_status bind_weight(esp_model *model, esp_weight *weight) {
  bool is_drawn;
  ESP_TRY(drawn_bind_local(model, (int)(weight - model->weights), &is_drawn));
  if (is_drawn) return ESP_OK;
  const esp_tensor *tensor = find_tensor(model, weight);
  if (!tensor) return fail_missing(model, weight);
  if (!esp_tensor_is_floating(tensor) || tensor->rank != weight->rank ||
      memcmp(tensor->shape, weight->shape, (size_t)weight->rank * sizeof *weight->shape) != 0)
    return fail_shape(model, weight, tensor);
  weight->type = tensor->type;
  weight->stored = tensor->data;
  return ESP_OK;
}

/* The configuration, and what the family reads off the tensors. */
static esp_status complete_config(const esp_tensor_set *set, json_t **config) {
  const char *name;
  const esp_family *family;
  ESP_TRY(config_json_parse(set->config, config));
  ESP_TRY(esp_config_get_text(*config, "model_type", &name));
  ESP_TRY(esp_family_find(name, &family));
  if (family->complete) family->complete(*config, set);
  return ESP_OK;
}

static esp_status bind_weights(esp_model *model, const char *ignored) {
  for (int i = 0; i < model->n_weights; i++) ESP_TRY(bind_weight(model, &model->weights[i]));
  return stray_check_local(model, ignored);
}

/* Whether a file's report says that single weights were pruned. */
static bool says_masked(const char *details) {
  json_t *report = details ? json_loads(details, 0, NULL) : NULL;
  const char *structure = json_string_value(json_object_get(report, "structure"));
  const bool is_masked = (structure && strcmp(structure, "unstructured") == 0) ||
                         json_is_true(json_object_get(report, "masked"));
  json_decref(report);
  return is_masked;
}

/* Takes over set, also when it fails. */
static esp_status describe_local(esp_tensor_set *set, json_t *config, const char *ignored,
                                 bool is_untied, esp_model **model) {
  const esp_status status = esp_model_new(config, model);
  if (status != ESP_OK) {
    esp_fail(status, "%s: %s", set->path, esp_failure_text());
    esp_tensor_set_close(&set);
    return status;
  }
  (*model)->source = set;
  (*model)->path = esp_strdup(set->path);
  (*model)->details = set->details ? esp_strdup(set->details) : NULL;
  (*model)->is_masked = set->is_masked || says_masked(set->details);
  (*model)->is_untied = is_untied;
  return bind_weights(*model, ignored);
}

/* Takes over set, also when it fails. */
static esp_status open_local(esp_tensor_set *set, const char *ignored, esp_model **model) {
  json_t *config = NULL;
  esp_status status = complete_config(set, &config);
  if (status == ESP_OK) {
    status = describe_local(set, config, ignored, false, model);
  } else {
    esp_fail(status, "%s: %s", set->path, esp_failure_text());
    esp_tensor_set_close(&set);
  }
  json_decref(config);
  return status;
}

/* The model with a head of its own, of the same tensors. */
static esp_status untie_local(const char *ignored, esp_model **model) {
  esp_tensor_set *set = (*model)->source;
  json_t *config = json_deep_copy((*model)->config);
  json_object_set_new(config, "tie_word_embeddings", json_false());
  (*model)->source = NULL;
  esp_model_free(model);
  const esp_status status = describe_local(set, config, ignored, true, model);
  json_decref(config);
  return status;
}

static void tell_other(const esp_model *model, const esp_copy *other) {
  esp_log_warn("%s: the configuration ties %s to %s, but other values are stored: the head is "
               "taken as stored, and what is written has tie_word_embeddings false",
               model->path, other->name, other->of);
}

/* Rank 0 compares. */
static esp_status check_copies(const esp_comm *comm, const char *ignored, esp_model **model) {
  if (!copies_are_stored(*model)) return ESP_OK;
  const esp_copy *other = comm->rank == 0 ? copies_find_other(*model) : NULL;
  if (esp_agree_max_i64(comm, other != NULL) == 0) return ESP_OK;
  ESP_TRY(esp_agree(comm, untie_local(ignored, model)));
  if (other) tell_other(*model, other);
  return ESP_OK;
}

static void say_rounding(const esp_model *model) {
  int wide = 0;
  for (int i = 0; i < model->n_weights; i++) wide += model->weights[i].type == ESP_F64;
  if (wide > 0)
    esp_log_info("%s: %d of %d weights are F64: rounded to float32 when read, written as F64",
                 model->path, wide, model->n_weights);
}

static void say_head(const esp_model *model) {
  if (model->unread_head)
    esp_log_info("%s: what %s says has no figure here: evaluated as an encoder, by its final "
                 "states; the head is kept",
                 model->path, model->unread_head);
}

esp_status esp_model_open_ignoring(const esp_comm *comm, const char *path, const char *ignored,
                                   esp_model **model) {
  esp_tensor_set *set = NULL;
  *model = NULL;
  ESP_TRY(esp_tensor_set_open(comm, path, &set));
  esp_status status = esp_agree(comm, open_local(set, ignored, model));
  if (status == ESP_OK) status = check_copies(comm, ignored, model);
  if (status != ESP_OK) {
    esp_model_free(model);
    return status;
  }
  say_rounding(*model);
  say_head(*model);
  return ESP_OK;
}

esp_status esp_model_open(const esp_comm *comm, const char *path, esp_model **model) {
  return esp_model_open_ignoring(comm, path, NULL, model);
}

static uint64_t hash_stored(esp_weight *weight) {
  if (weight->hash != 0) return weight->hash;
  const uint64_t hash = esp_hash_text((uint64_t)weight->type + 1, weight->name);
  const size_t bytes = (size_t)esp_weight_count(weight) * esp_dtype_bytes(weight->type);
  weight->hash = esp_hash(hash, weight->shape, (size_t)weight->rank * sizeof *weight->shape);
  weight->hash = esp_hash(weight->hash, weight->stored, bytes);
  return weight->hash;
}

uint64_t esp_model_fingerprint(const esp_comm *comm, const esp_model *model) {
  int64_t *hashes = ESP_NEW(int64_t, model->n_weights + 1);
  for (int i = comm->rank; i < model->n_weights; i += comm->size)
    hashes[i] = (int64_t)hash_stored(&model->weights[i]);
  esp_allreduce_sum_i64(comm, hashes, model->n_weights); // the others add 0
  char *config = config_json_dump(model->config, JSON_COMPACT | JSON_SORT_KEYS);
  uint64_t hash = esp_hash_text(0, config);
  esp_free(&config);
  hash = esp_hash(hash, hashes, (size_t)model->n_weights * sizeof *hashes);
  esp_free(&hashes);
  return hash;
}
