/* A new perceptron for a data set of images. */
#include "perceptron.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

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

/* A label that is a mistake makes outputs that nothing is learned of. */
static void warn_of_gaps(const esp_dataset *data) {
  int64_t *counts = ESP_NEW(int64_t, data->classes), last = 0;
  int missing = 0, first = -1;
  for (int64_t i = 0; i < data->count; i++) {
    if (data->labels[i] > data->labels[last]) last = i;
    counts[data->labels[i]]++;
  }
  for (int c = 0; c < data->classes; c++)
    if (counts[c] == 0 && missing++ == 0) first = c;
  esp_free(&counts);
  if (missing == 0) return;
  esp_log_warn("%s: expected samples of each of the %d classes up to the largest label, %d (sample "
               "%" PRId64 "), found none of %d of them, class %d the first; the model gets outputs "
               "for all: correct the labels if these are no classes",
               data->path, data->classes, data->labels[last], last, missing, first);
}

esp_status perceptron_configure(const esp_network_options *options, const esp_dataset *data,
                                json_t **config) {
  double mean, std;
  *config = NULL;
  if (data->kind != ESP_DATA_IMAGES)
    return esp_fail(ESP_USAGE,
                    "%s: expected images to make a perceptron for, found tokens; name a model or a "
                    "config.json to train",
                    data->path);
  json_t *sizes = json_array();
  json_array_append_new(sizes, json_integer(data->width));
  const esp_status status = add_hidden_sizes(options->hidden, sizes);
  json_array_append_new(sizes, json_integer(data->classes));
  measure_input(data, &mean, &std);
  if (status == ESP_OK) warn_of_gaps(data);
  *config = esp_json_pack("{s:s, s:o, s:s, s:f, s:f}", "model_type", "mlp", "layer_sizes", sizes,
                          "activation", options->activation, "input_mean", mean, "input_std", std);
  return status;
}
