#include "commands.h"

#include "espalier/comm/phases.h"
#include "espalier/core/memory.h"
#include "espalier/flow/samples.h"
#include "espalier/io/h5.h"
#include "espalier/model/family.h"
#include "espalier/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TRAIN_MICRO_BATCH = 64 };

static esp_status add_hidden_sizes(const char *text, json_t *sizes) {
  for (const char *at = text;; at++) {
    char *end;
    const long size = strtol(at, &end, 10);
    if (end == at || (*end != ',' && *end != '\0') || size < 1)
      return esp_fail(ESP_USAGE, "--hidden: expected sizes such as 512,256, found '%s'", text);
    json_array_append_new(sizes, json_integer(size));
    if (*end == '\0') return ESP_OK;
    at = end;
  }
}

/* Mean and standard deviation of all pixels, scaled to [0, 1]; sums of integers, so exact. */
static void measure_input(const esp_dataset *data, double *mean, double *std) {
  const int64_t n = data->count * data->width;
  int64_t sum = 0, squares = 0;
  for (int64_t i = 0; i < n; i++) {
    sum += data->pixels[i];
    squares += (int64_t)data->pixels[i] * data->pixels[i];
  }
  *mean = (double)sum / (double)n / 255.0;
  *std = sqrt(fmax(1e-12, (double)squares / (double)n / 65025.0 - *mean * *mean));
}

static esp_status make_config(const esp_settings *settings, const esp_dataset *data,
                              json_t **config) {
  double mean, std;
  json_t *sizes = json_array();
  json_array_append_new(sizes, json_integer(data->width));
  const esp_status status = add_hidden_sizes(settings->network.hidden, sizes);
  json_array_append_new(sizes, json_integer(data->classes));
  measure_input(data, &mean, &std);
  *config =
      json_pack("{s:s, s:o, s:s, s:f, s:f}", "model_type", "mlp", "layer_sizes", sizes,
                "activation", settings->network.activation, "input_mean", mean, "input_std", std);
  return status;
}

static esp_status make_model(const esp_settings *settings, const esp_dataset *data,
                             esp_model **model) {
  json_t *config = NULL;
  esp_status status = make_config(settings, data, &config);
  if (status == ESP_OK) status = esp_model_new(config, model);
  json_decref(config);
  if (status != ESP_OK) return status;
  esp_model_own_all(*model);
  (*model)->family->init(*model, (uint64_t)settings->run.seed);
  return ESP_OK;
}

/* All but how the run was conducted: a training that was interrupted gives the same bytes. */
static json_t *dump_options(const esp_settings *settings) {
  json_t *options = esp_options_dump(esp_settings_table(), settings, ESP_FOR_TRAIN);
  json_object_del(json_object_get(options, "run"), "resume");
  return options;
}

static esp_status write_model(const command_input *input, esp_model *model, const json_t *report) {
  esp_h5 *file = NULL;
  json_t *extra = json_pack("{s:s, s:o, s:O}", "program", "espalier " ESPALIER_VERSION, "options",
                            dump_options(input->settings), "training", report);
  char *text = json_dumps(extra, JSON_COMPACT | JSON_SORT_KEYS);
  esp_status status = esp_h5_create(input->comm, input->settings->run.output, &file);
  if (status == ESP_OK) status = esp_meta_write(file, "espalier-model", text);
  if (status == ESP_OK) status = esp_model_write(input->comm, model, file);
  if (status == ESP_OK) status = esp_h5_commit(&file);
  esp_h5_close(&file);
  free(text);
  json_decref(extra);
  return status;
}

static esp_status train(const command_input *input, esp_model *model, const esp_dataset *data,
                        json_t *report) {
  const esp_settings *settings = input->settings;
  char *checkpoint = esp_format("%s.checkpoint.h5", settings->run.output);
  esp_train_options options = {.epochs = settings->train.epochs,
                               .batch = settings->train.batch,
                               .micro_batch = settings->data.micro_batch > 0
                                                  ? settings->data.micro_batch
                                                  : DEFAULT_TRAIN_MICRO_BATCH,
                               .optimizer = settings->train.optimizer,
                               .rate = settings->train.rate,
                               .warmup = settings->train.warmup,
                               .weight_decay = settings->train.weight_decay,
                               .momentum = settings->train.momentum,
                               .seed = (uint64_t)settings->run.seed,
                               .checkpoint = checkpoint,
                               .resume = settings->run.resume};
  const int64_t n = (options.batch + options.micro_batch - 1) / options.micro_batch;
  esp_status status = esp_samples_check_ranks(input->comm->size, n, settings->run.allow_idle);
  if (status == ESP_OK) status = esp_train(input->comm, model, data, &options, report);
  if (status == ESP_OK) status = write_model(input, model, report);
  if (status == ESP_OK) esp_train_remove_checkpoint(input->comm, &options);
  esp_free(&checkpoint);
  return status;
}

static esp_status run(const command_input *input, json_t **result) {
  const esp_settings *settings = input->settings;
  if (!settings->run.output)
    return esp_fail(ESP_USAGE, "train: expected where to write the model; give -o FILE");
  ESP_TRY(esp_h5_check_writable(input->comm, settings->run.output, 0));
  esp_dataset *data = NULL;
  esp_model *model = NULL;
  esp_phases phases = {0};
  esp_phases_begin(&phases, "read");
  const esp_samples samples = esp_samples_of(&settings->run, &settings->data, "train");
  ESP_TRY(esp_samples_open_data(input->comm, &samples, NULL, &data));
  *result = json_object();
  esp_status status = esp_agree(input->comm, make_model(settings, data, &model));
  esp_phases_begin(&phases, "train");
  if (status == ESP_OK) status = train(input, model, data, *result);
  esp_phases_end(&phases);
  if (status == ESP_OK) {
    json_t *run_report = esp_phases_gather(input->comm, &phases);
    esp_phases_log(run_report);
    json_object_set_new(*result, "run", run_report);
  }
  if (status == ESP_OK)
    print_result(input, "%s: loss %.4f nats, training accuracy %.2f %%\n", settings->run.output,
                 json_real_value(json_object_get(*result, "training_loss_nats")),
                 100.0 * json_real_value(json_object_get(*result, "training_accuracy")));
  esp_model_free(&model);
  esp_dataset_close(&data);
  return status;
}

const command command_train = {.name = "train",
                               .usage = "train CONFIG [--data PATH] -o MODEL.h5",
                               .summary = "data-parallel training of small models",
                               .bit = ESP_FOR_TRAIN,
                               .least = 0,
                               .most = 1,
                               .config_is_argument = true,
                               .computes = true,
                               .run = run};
