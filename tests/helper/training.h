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
  static char cosine[] = "cosine", exact[] = "exact", all[] = "all";
  return (esp_train_options){.schedule = cosine,
                             .gradients = exact,
                             .trainable = all,
                             .temperature = 1.0,
                             .epochs = 4,
                             .batch = 16,
                             .micro_batch = 3,
                             .optimizer = (char *)(uintptr_t)optimizer,
                             .rate = strcmp(optimizer, "sgd") == 0 ? 0.1 : 0.02,
                             .warmup = 0.1,
                             .weight_decay = 0.01,
                             .momentum = 0.9,
                             .beta2 = 0.999};
}

/* Where a training goes on from; all NULL: nowhere. */
typedef struct place {
  const char *checkpoint;
  esp_journal *journal;
  uint64_t seed; // 0: 5
} place;

static inline esp_status train_model(const esp_comm *comm, esp_model *model,
                                     const esp_dataset *data, const esp_train_options *options,
                                     place at, esp_train_report *report) {
  return esp_train(comm,
                   &(esp_train_request){.model = model,
                                        .data = data,
                                        .options = options,
                                        .seed = at.seed ? at.seed : 5,
                                        .checkpoint = at.checkpoint,
                                        .save_every_s = 1e9,
                                        .journal = at.journal},
                   report);
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

static inline result train_at(const esp_comm *comm, const esp_train_options *options, place at) {
  esp_dataset *data = mlp_data(SAMPLES, WIDTH, CLASSES);
  esp_model *model = mlp_new("gelu", sizes, 4, 11);
  esp_train_report report;
  result got = {.status = train_model(comm, model, data, options, at, &report)};
  got.weights = hash_weights(model);
  if (got.status == ESP_OK) {
    got.loss = report.points[report.n_points - 1].loss;
    got.accuracy = report.points[report.n_points - 1].accuracy;
  }
  got.epochs = report.epochs;
  got.steps = report.steps;
  esp_train_report_clear(&report);
  esp_model_free(&model);
  esp_dataset_close(&data);
  return got;
}

static inline result train(const esp_comm *comm, const esp_train_options *options) {
  return train_at(comm, options, (place){0});
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
