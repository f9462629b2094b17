#include "heads.h"

#include "transformer.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/named.h"
#include "espalier/linalg/gemm.h"
#include "espalier/model/forward.h"

#include <string.h>

static const char architectures_key[] = "architectures", language_weight[] = "lm_head.weight";

static const char *get_architecture(const json_t *config) {
  return json_string_value(json_array_get(json_object_get(config, architectures_key), 0));
}

static const tf_head *find_language(const tf_head *rows) {
  while (rows->ending) rows++;
  return rows;
}

/* Only names of language models end in "HeadModel". */
static const tf_head *find_ending(const char *name, const tf_head *rows) {
  const bool has_head = tf_ends_with(name, "HeadModel") || tf_ends_with(name, "HeadsModel");
  const tf_head *row = has_head ? find_language(rows) : rows;
  while (row->ending && !tf_ends_with(name, row->ending)) row++;
  return row;
}

const tf_head *tf_head_find(const json_t *config, const tf_head *rows, bool is_tied) {
  const char *name = get_architecture(config);
  const tf_head *row = name ? find_ending(name, rows) : find_language(rows);
  return is_tied && !row->linear ? find_language(rows) : row;
}

static bool has_tensor(const esp_tensor_set *set, const char *linear, const char *part) {
  char *name = esp_format("%s.%s", linear, part);
  const bool found = esp_tensor_set_find(set, name) != NULL;
  esp_free(&name);
  return found;
}

/* The head whose map is stored; without any, an untied model has none. */
static const tf_head *find_stored(const tf_head *rows, const esp_tensor_set *set, bool is_tied) {
  const tf_head *language = find_language(rows), *none = language;
  if (esp_tensor_set_find(set, language_weight)) return language;
  for (const tf_head *row = rows; row->ending; row++) {
    if (!row->linear) none = row;
    if (row->linear && has_tensor(set, row->linear, "weight") &&
        has_tensor(set, row->linear, "bias") == row->has_bias)
      return row;
  }
  return is_tied ? language : none;
}

static void write_architecture(const tf_classes *classes, const tf_head *head, json_t *config) {
  char *name = esp_format("%s%s", classes->name, head->ending ? head->ending : classes->language);
  json_object_set_new(config, architectures_key, json_pack("[s]", name));
  esp_free(&name);
}

/* What a configuration that names a class becomes by what is stored. */
static void correct(const tf_classes *classes, const tf_head *stored, json_t *config,
                    const esp_tensor_set *set) {
  const tf_head *named = tf_head_find(config, classes->rows, false);
  const bool is_base = esp_tensor_set_find(set, classes->embedding) != NULL;
  if (!named->linear && !stored->ending) write_architecture(classes, stored, config);
  if (named->ending || stored->linear || !is_base) return;
  esp_log_warn("%s: no head is stored, but %s has one: opened without, as an encoder", set->path,
               get_architecture(config));
  write_architecture(classes, stored, config);
}

void tf_head_complete(const tf_classes *classes, json_t *config, const esp_tensor_set *set) {
  const json_t *tie = json_object_get(config, "tie_word_embeddings");
  const bool is_tied = json_is_boolean(tie) ? json_is_true(tie) : classes->is_tied;
  const tf_head *stored = find_stored(classes->rows, set, is_tied);
  if (get_architecture(config)) {
    if (!is_tied) correct(classes, stored, config, set);
  } else if (stored->ending) {
    write_architecture(classes, stored, config);
  }
}

esp_status tf_count_labels(const json_t *config, int64_t *labels) {
  const json_t *names = json_object_get(config, "id2label");
  *labels = (int64_t)json_object_size(names);
  return *labels > 0 ? ESP_OK : tf_get_size(config, (tf_size){"num_labels", 2}, labels);
}

esp_status tf_find_label_task(const json_t *config, int64_t n_labels, esp_task *task) {
  static const char *const names[] = {"single_label_classification", "regression",
                                      "multi_label_classification", NULL};
  static const esp_task tasks[] = {ESP_TASK_CLASSIFY, ESP_TASK_REGRESS, ESP_TASK_MULTI_LABEL};
  const char *name = names[n_labels == 1];
  int i;
  ESP_TRY(tf_get_text_or(config, "problem_type", &name));
  if (esp_find_row("problem_type", name, names, sizeof *names, &i) != ESP_OK)
    return esp_fail(ESP_FORMAT, "configuration: %s", esp_failure_text());
  *task = tasks[i];
  return ESP_OK;
}

static esp_status read_padding(const json_t *config, int64_t *padding) {
  const json_t *found = json_object_get(config, "pad_token_id");
  *padding = -1;
  if (!found || json_is_null(found)) return ESP_OK;
  return esp_config_get_int(config, "pad_token_id", INT32_MIN, padding);
}

esp_status tf_head_describe(esp_model *model, const tf_head *head, int64_t hidden,
                            tf_decoder_head *self) {
  esp_linear shape = {.outputs = head->outputs, .inputs = hidden, .bias = head->has_bias ? 0 : -1};
  ESP_TRY(read_padding(model->config, &self->padding));
  if (head->linear && head->outputs == 0) ESP_TRY(tf_count_labels(model->config, &shape.outputs));
  if (head->linear) {
    self->linear = tf_add_linear(model, model->n_stages, shape, "%s", head->linear);
    esp_model_add_reader(model, model->n_stages, &self->linear);
  }
  model->task = head->task;
  if (head->task == ESP_TASK_CLASSIFY)
    ESP_TRY(tf_find_label_task(model->config, shape.outputs, &model->task));
  model->unread_head = head->task == ESP_TASK_EMBED ? head->linear : NULL;
  model->n_outputs = head->task == ESP_TASK_EMBED ? hidden : shape.outputs;
  return ESP_OK;
}

int64_t tf_head_count_rows(const esp_call *call) {
  return esp_batch_count_outputs(call->model, &call->batch);
}

/* Its row in the batch; the first where there is nothing but padding. */
static int64_t find_last(const tf_decoder_head *self, const esp_batch *batch, int64_t sequence) {
  const int64_t first = sequence * batch->width;
  int64_t t = batch->lengths ? batch->lengths[sequence] : batch->width;
  while (t > 0 && batch->tokens[first + t - 1] == self->padding) t--;
  return t > 0 ? first + t - 1 : first;
}

const float *tf_head_gather(const tf_decoder_head *self, const esp_call *call, int64_t n,
                            const float *x) {
  const esp_batch *batch = &call->batch;
  if (!esp_model_is_by_sample(call->model)) return x;
  float *last = ESP_TAKE(call->workspace, float, batch->count *n);
  for (int64_t i = 0; i < batch->count; i++)
    memcpy(last + i * n, x + find_last(self, batch, i) * n, (size_t)n * sizeof *last);
  return last;
}

void tf_head_scatter(const tf_decoder_head *self, const esp_call *call, int64_t n,
                     const float *gathered, float *x) {
  const esp_batch *batch = &call->batch;
  const size_t bytes = (size_t)(esp_call_count_rows(call) * n) * sizeof *x;
  if (!esp_model_is_by_sample(call->model)) {
    if (x != gathered) memcpy(x, gathered, bytes);
    return;
  }
  memset(x, 0, bytes);
  for (int64_t i = 0; i < batch->count; i++)
    memcpy(x + find_last(self, batch, i) * n, gathered + i * n, (size_t)n * sizeof *x);
}

/* The rows of the map, and its bias, one behind the other. */
static const float *gather_map(const esp_call *call, const esp_linear *linear, float **bias) {
  const esp_logit_list *only = call->only;
  const esp_weight *weights = call->model->weights;
  const int64_t k = linear->inputs;
  float *rows = ESP_TAKE(call->workspace, float, only->count *k);
  ESP_ASSERT(!linear->input_major);
  *bias = linear->bias >= 0 ? ESP_TAKE(call->workspace, float, only->count) : NULL;
  for (int64_t i = 0; i < only->count; i++) {
    memcpy(rows + i * k, weights[linear->weight].value + only->units[i] * k,
           (size_t)k * sizeof *rows);
    if (*bias) (*bias)[i] = weights[linear->bias].value[only->units[i]];
  }
  return rows;
}

void tf_head_map(const esp_call *call, const esp_linear *linear, int64_t rows, const float *x,
                 float *logits) {
  float *bias;
  if (!call->only) {
    esp_linear_forward(call->model, linear, rows, x, logits, false);
    return;
  }
  const int64_t n = call->only->count, k = linear->inputs;
  const float *map = gather_map(call, linear, &bias);
  esp_gemm_compute(&(esp_gemm){.transpose_b = true,
                               .m = rows,
                               .n = n,
                               .k = k,
                               .alpha = 1.0f,
                               .a = x,
                               .lda = k,
                               .b = map,
                               .ldb = k,
                               .c = logits,
                               .ldc = n});
  for (int64_t i = 0; i < rows * n && bias; i++) logits[i] += bias[i % n];
}
