/* The kinds of budgets, and whether a model meets those of a request. */
#ifndef ESPALIER_SRC_PRUNE_BUDGETS_H
#define ESPALIER_SRC_PRUNE_BUDGETS_H

#include "prune_journal.h"

#include "espalier/prune/budget.h"
#include "espalier/prune/request.h"
#include "espalier/select/allocation.h"

struct esp_budget_kind {
  const char *name; // of its option, without dashes
  const char *noun; // "parameters"
  bool is_least;    // the model must reach it; else it is the most
  double (*get_asked)(const esp_allocation_options *options); // 0: it is not asked for
  /* USAGE: not of this request. NULL: of any. Local. */
  esp_status (*check)(const esp_prune_request *request);
  /* Of the dense model, or one that was made smaller (without values). Local. */
  double (*measure)(const esp_prune_request *request, const esp_model *model);
};

extern const esp_budget_kind budget_parameters, budget_bytes, budget_speed;

/* The request's budgets, NULL: none is asked for, or USAGE: not of this request. Local. */
esp_status budget_open(esp_prune_request *request);

/* Whether a figure is within a budget; whether a model meets all of them. Local. */
bool budget_is_within(const esp_budget_limit *limit, double value);
bool budget_is_met(const esp_prune_request *request, const esp_model *model);
/* The same of an allocation's counts; context is the request. Local. */
bool budget_is_enough(const void *request, const esp_allocation_job *job);
/* USAGE unless it does, with what it has: what is reached at most. Local. */
esp_status budget_check(const esp_prune_request *request, const esp_model *model);

/* Bytes of weights, and of keys and values of so many tokens. Local. */
double budget_count_weight_bytes(const esp_model *model);
double budget_count_cache_bytes(const esp_model *model, int64_t tokens);

/* Time the stages by size on rank 0, or take the times of an interrupted run; nothing without a
 * budget of time. journal NULL: there is none. Collective on comm. */
esp_status budget_speed_prepare(const esp_comm *comm, esp_prune_request *request,
                                prune_journal *journal);
/* Time the result against the dense model: fills budget->measured, and warns where it is less than
 * asked. Nothing without a budget of time. Collective on comm. */
void budget_speed_measure(const esp_comm *comm, esp_prune_request *request,
                          const esp_model *pruned);

#endif
