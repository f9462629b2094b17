#include "commands.h"

#include "espalier/core/memory.h"
#include "espalier/eval/eval.h"
#include "espalier/model/family.h"
#include "espalier/pipeline/job.h"

#include <inttypes.h>

static esp_status open_models(const command_input *input, esp_model **models) {
  for (int i = 0; i < input->n_arguments; i++) {
    ESP_TRY(esp_model_open(input->comm, input->arguments[i], &models[i]));
    ESP_TRY(esp_model_load_all(input->comm, models[i]));
  }
  return ESP_OK;
}

static json_t *describe(const esp_model *model, const esp_quality *quality) {
  json_t *row = json_pack("{s:s, s:s, s:I, s:f, s:f, s:I}", "model", model->path, "family",
                          model->family->name, "parameters",
                          (json_int_t)esp_model_count_parameters(model), "accuracy",
                          (double)quality->correct / (double)quality->samples, "loss_nats",
                          quality->loss_nats, "samples", (json_int_t)quality->samples);
  json_t *report = model->details ? json_loads(model->details, 0, NULL) : NULL;
  static const char *const copied[] = {"criterion", "repair", "sparsity_asked",
                                       "selection_checksum"};
  for (unsigned i = 0; i < sizeof copied / sizeof *copied; i++)
    if (report) json_object_set(row, copied[i], json_object_get(report, copied[i]));
  json_decref(report);
  return row;
}

static esp_status measure_quality(const command_input *input, esp_model **models,
                                  const esp_dataset *data, json_t *results) {
  for (int i = 0; i < input->n_arguments; i++) {
    esp_quality quality;
    ESP_TRY(esp_eval_quality(input->comm, models[i], data, &quality));
    json_array_append_new(results, describe(models[i], &quality));
  }
  return ESP_OK;
}

static void measure_speed(const command_input *input, esp_model **models, const esp_dataset *data,
                          json_t *results) {
  const esp_speed_options options = {input->settings->speed_batch, input->settings->repeats};
  const int n = input->n_arguments;
  double *rates = ESP_NEW(double, n);
  esp_eval_speed(input->comm, models, n, data, &options, rates);
  for (int i = 0; i < n; i++) {
    json_t *row = json_array_get(results, (size_t)i);
    json_object_set_new(row, "images_per_s", json_real(rates[i]));
    json_object_set_new(row, "speedup", json_real(rates[i] / rates[0]));
  }
  esp_free(&rates);
}

static double get_real(const json_t *row, const char *key) {
  return json_number_value(json_object_get(row, key));
}

static const char *get_text(const json_t *row, const char *key) {
  const char *text = json_string_value(json_object_get(row, key));
  return text ? text : "-";
}

static void print_table(const command_input *input, const json_t *results) {
  size_t i;
  json_t *row;
  print_result(input, "%-16s %8s %-14s %9s %10s %10s %12s %8s  %s\n", "criterion", "sparsity",
               "repair", "accuracy", "loss", "parameters", "images/s", "speed-up", "model");
  json_array_foreach(results, i, row)
    print_result(input, "%-16s %8.2f %-14s %8.2f%% %10.4f %10.0f %12.0f %7.2fx  %s\n",
                 get_text(row, "criterion"), get_real(row, "sparsity_asked"),
                 get_text(row, "repair"), 100.0 * get_real(row, "accuracy"),
                 get_real(row, "loss_nats"), get_real(row, "parameters"),
                 get_real(row, "images_per_s"), get_real(row, "speedup"), get_text(row, "model"));
}

static esp_status evaluate(const command_input *input, esp_model **models, json_t **result) {
  esp_dataset *data = NULL;
  ESP_TRY(esp_job_open_data(input->comm, input->settings, "test", &data));
  json_t *results = json_array();
  *result = json_pack("{s:s, s:s, s:o}", "data", data->path, "split", data->split, "results", results);
  esp_status status = measure_quality(input, models, data, results);
  if (status == ESP_OK && input->settings->speed) measure_speed(input, models, data, results);
  if (status == ESP_OK) print_table(input, results);
  esp_dataset_close(&data);
  return status;
}

static esp_status run(const command_input *input, json_t **result) {
  esp_model **models = ESP_NEW(esp_model *, input->n_arguments);
  esp_status status = open_models(input, models);
  if (status == ESP_OK) status = evaluate(input, models, result);
  for (int i = 0; i < input->n_arguments; i++) esp_model_free(&models[i]);
  esp_free(&models);
  return status;
}

const command command_eval = {.name = "eval",
                              .usage = "eval MODEL [MODEL...] --data PATH",
                              .summary = "accuracy and measured speed, side by side",
                              .bit = ESP_COMMAND_EVAL,
                              .least = 1,
                              .most = 1 << 20,
                              .run = run};
