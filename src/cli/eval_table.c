#include "eval_table.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static double get_real(const json_t *row, const char *key) {
  return json_number_value(json_object_get(row, key));
}

static const char *get_text(const json_t *row, const char *key) {
  const char *text = json_string_value(json_object_get(row, key));
  return text ? text : "-";
}

/* The figure that a model of this task is judged by. */
typedef struct figure {
  const char *title, *key, *unit;
  double factor;
  int digits;
} figure;

static figure choose_figure(const eval_table *self, char *title, size_t size) {
  if (self->task == ESP_TASK_EMBED) return (figure){"cosine", "cosine", "", 1.0, 5};
  if (self->task == ESP_TASK_REGRESS) return (figure){"R2", "r2", "", 1.0, 5};
  if (self->task == ESP_TASK_MULTI_LABEL) return (figure){"micro-F1", "f1_micro", "%", 100.0, 2};
  if (self->task == ESP_TASK_CLASSIFY) return (figure){"accuracy", "accuracy", "%", 100.0, 2};
  snprintf(title, size, "ppl T=%" PRId64, self->context);
  return (figure){title, "perplexity", "", 1.0, 3};
}

/* No figure where nothing was predicted, or that the data do not define. */
static void print_quality(const command_input *input, const json_t *row, const figure *shown) {
  const json_t *error = json_object_get(row, "mean_squared_error");
  if (json_is_number(json_object_get(row, shown->key)))
    print_result(input, "%*.*f%s ", shown->unit[0] ? 11 : 12, shown->digits,
                 shown->factor * get_real(row, shown->key), shown->unit);
  else
    print_result(input, "%12s ", "-");
  if (error)
    print_result(input, "%9.4g", json_number_value(error));
  else if (json_object_get(row, shown->key))
    print_result(input, "%9.4f", get_real(row, "loss_nats"));
  else
    print_result(input, "%9s", "-");
}

/* Training after the cut takes the place of the repair that it began with. */
static const char *describe_repair(const json_t *row) {
  const bool is_recovered = json_integer_value(json_object_get(row, "recovery_steps")) > 0;
  return is_recovered ? "recovered" : get_text(row, "repair");
}

static void print_row(const command_input *input, const json_t *row, const figure *shown,
                      const char *rate) {
  char *model = esp_json_bytes(json_object_get(row, "model"));
  print_result(input, "%-16s %8.2f %-14s", get_text(row, "criterion"),
               get_real(row, "sparsity_asked"), describe_repair(row));
  print_quality(input, row, shown);
  print_result(input, " %10.0f %10.0f", get_real(row, "parameters"),
               get_real(row, "nonzero_parameters"));
  if (input->settings->eval.speed)
    print_result(input, " %12.0f %7.2fx", get_real(row, rate), get_real(row, "speedup"));
  print_result(input, "  %s\n", model);
  esp_free(&model);
}

static void print_sparse(const command_input *input, const json_t *row) {
  if (strcmp(get_text(row, "structure"), "unstructured") != 0 ||
      get_real(row, "nonzero_parameters") >= get_real(row, "parameters"))
    return;
  char *model = esp_json_bytes(json_object_get(row, "model"));
  print_result(input, "%s is sparse, not smaller: its zeros are stored and multiplied\n", model);
  esp_free(&model);
}

static void print_frozen(const command_input *input, const json_t *row) {
  const json_t *frozen = json_object_get(row, "frozen_parameters");
  if (!frozen) return;
  char *model = esp_json_bytes(json_object_get(row, "model"));
  print_result(input, "%s: %.0f parameters are frozen as they began, none is removed\n", model,
               json_number_value(frozen));
  esp_free(&model);
}

static void print_head(const command_input *input, const eval_table *self, const char *title) {
  const bool is_prefill = input->settings->eval.prefill;
  const char *rate = self->kind == ESP_DATA_TOKENS ? "tokens/s" : "images/s";
  print_result(input, "%-16s %8s %-14s%12s %9s %10s %10s", "criterion", "sparsity", "repair", title,
               self->task == ESP_TASK_REGRESS ? "MSE" : "loss", "parameters", "nonzero");
  if (input->settings->eval.speed)
    print_result(input, " %12s %8s", is_prefill ? "prefill/s" : rate, "speed-up");
  print_result(input, "  model\n");
}

void eval_table_print(const command_input *input, const eval_table *self, const json_t *results) {
  size_t i;
  json_t *row;
  char title[32];
  const figure shown = choose_figure(self, title, sizeof title);
  const char *rate = self->kind == ESP_DATA_TOKENS ? "tokens_per_s" : "images_per_s";
  print_head(input, self, shown.title);
  json_array_foreach(results, i, row) print_row(input, row, &shown, rate);
  json_array_foreach(results, i, row) print_sparse(input, row);
  json_array_foreach(results, i, row) print_frozen(input, row);
}
