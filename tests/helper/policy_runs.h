/* Small trainings under a policy. */
#ifndef ESPALIER_TESTS_POLICY_RUNS_H
#define ESPALIER_TESTS_POLICY_RUNS_H

#include "training.h"

/* Defaults, resolved; to be cleared. */
static inline esp_policy_options policies_options(const char *name, const char *granularity) {
  esp_policy_options options;
  esp_policy_options_init(&options);
  options.policy = esp_strdup(name);
  esp_free(&options.granularity);
  options.granularity = esp_strdup(granularity);
  if (esp_policy_options_resolve(&options) != ESP_OK) fail_msg("%s", esp_failure_text());
  return options;
}

/* A perceptron and its data, and what the last training of it said. */
typedef struct policies_run {
  esp_model *model;
  esp_dataset *data;
  esp_train_report report;
} policies_run;

static inline policies_run policies_open(const char *activation, const int64_t *layers) {
  return (policies_run){.model = mlp_new(activation, layers, 4, 11),
                        .data = mlp_data(SAMPLES, layers[0], CLASSES)};
}

static inline void policies_close(policies_run *self) {
  esp_train_report_clear(&self->report);
  esp_model_free(&self->model);
  esp_dataset_close(&self->data);
}

static inline esp_status policies_train(const esp_comm *comm, policies_run *self,
                                        const esp_train_options *options,
                                        const esp_policy_options *how, place at) {
  esp_train_report_clear(&self->report);
  return esp_train(comm,
                   &(esp_train_request){.model = self->model,
                                        .data = self->data,
                                        .options = options,
                                        .policy = how,
                                        .seed = 5,
                                        .checkpoint = at.checkpoint,
                                        .save_every_s = 1e9,
                                        .journal = at.journal},
                   &self->report);
}

#endif
