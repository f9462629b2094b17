/* A small training, the same in every test of it, and what it gave. */
#ifndef ESPALIER_TESTS_TRAINING_H
#define ESPALIER_TESTS_TRAINING_H

#include "espalier/core/hash.h"
#include "espalier/train/train.h"
#include "mlp.h"

enum { SAMPLES = 50, WIDTH = 6, CLASSES = 3 };
static const int64_t sizes[4] = {WIDTH, 9, 5, CLASSES};

static inline bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

/* 16 samples a batch and 3 a micro-batch: six micro-batches, the last one short. */
static inline esp_train_options new_options(const char *optimizer) {
  return (esp_train_options){.epochs = 4,
                             .batch = 16,
                             .micro_batch = 3,
                             .optimizer = (char *)(uintptr_t)optimizer,
                             .rate = strcmp(optimizer, "sgd") == 0 ? 0.1 : 0.02,
                             .warmup = 0.1,
                             .weight_decay = 0.01,
                             .momentum = 0.9,
                             .seed = 5};
}

static inline uint64_t hash_weights(const esp_model *model) {
  uint64_t hash = 0;
  for (int w = 0; w < model->n_weights; w++)
    hash = esp_hash(hash, model->weights[w].value,
                    (size_t)esp_weight_count(&model->weights[w]) * sizeof(float));
  return hash;
}

/* What a training gave on this rank. */
typedef struct result {
  esp_status status;
  uint64_t weights;
  double loss, accuracy;
  int64_t epochs, steps;
} result;

static inline result train(const esp_comm *comm, const esp_train_options *options) {
  esp_dataset *data = mlp_data(SAMPLES, WIDTH, CLASSES);
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  json_t *report = json_object();
  result got = {.status = esp_train(comm, model, data, options, report)};
  got.weights = hash_weights(model);
  got.loss = json_real_value(json_object_get(report, "training_loss_nats"));
  got.accuracy = json_real_value(json_object_get(report, "training_accuracy"));
  got.epochs = json_integer_value(json_object_get(report, "epochs"));
  got.steps = json_integer_value(json_object_get(report, "steps"));
  json_decref(report);
  esp_model_free(&model);
  esp_dataset_close(&data);
  return got;
}

static inline result train_alone(const esp_train_options *options) {
  esp_comm self;
  esp_comm_init_local(&self);
  const result got = train(&self, options);
  esp_comm_clear(&self);
  return got;
}

static inline bool is_same(const result *a, const result *b) {
  return a->status == b->status && a->weights == b->weights && a->loss == b->loss &&
         a->accuracy == b->accuracy && a->epochs == b->epochs && a->steps == b->steps;
}

#endif
