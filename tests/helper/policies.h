/* A training with a policy, in tests. */
#ifndef ESPALIER_TESTS_POLICIES_H
#define ESPALIER_TESTS_POLICIES_H

#include "training.h"

/* All is borrowed; checkpoint may be NULL. */
typedef struct policy_case {
  esp_model *model;
  const esp_dataset *data;
  const esp_train_options *options;
  const esp_policy_options *policy;
  const char *checkpoint;
} policy_case;

/* report: the caller's to clear; NULL: not wanted. */
static inline esp_status policy_train(const esp_comm *comm, const policy_case *of,
                                      esp_train_report *report) {
  esp_train_report mine;
  const esp_status status = esp_train(comm,
                                      &(esp_train_request){.model = of->model,
                                                           .data = of->data,
                                                           .options = of->options,
                                                           .policy = of->policy,
                                                           .seed = 5,
                                                           .checkpoint = of->checkpoint,
                                                           .save_every_s = 1e9},
                                      report ? report : &mine);
  if (!report) esp_train_report_clear(&mine);
  return status;
}

#endif
