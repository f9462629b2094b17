/* The smallest sparsity that meets all budgets, by bisection: what shares --sparsity loses that
 * fraction of its units, in whole steps (select/budget.c). Allocations by scores or trials go on
 * from there, and stop where the budgets are met (esp_allocation_job.is_enough). */
#include "budget_search.h"

#include "rules.h"
#include "structure.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <math.h>

enum { BISECTIONS = 48, MOST_DIGITS = 15 };

static const double nearly_all = 1.0 - 1e-12;

static void share(esp_prune_request *request, double sparsity) {
  request->asked = sparsity;
  for (int i = 0; request->structures[i]; i++)
    if (request->structures[i]->share) request->structures[i]->share(request, sparsity);
}

static esp_model *resize(const esp_prune_request *request) {
  esp_model *resized = NULL;
  esp_status status = ESP_OK;
  for (int i = 0; request->structures[i] && status == ESP_OK; i++)
    if (request->structures[i]->resize) status = request->structures[i]->resize(request, &resized);
  ESP_ASSERT(status == ESP_OK && resized); // as it will be when the model is cut
  return resized;
}

static bool meets(esp_prune_request *request, double sparsity) {
  share(request, sparsity);
  esp_model *resized = resize(request);
  const bool met = budget_is_met(request, resized);
  esp_model_free(&resized);
  return met;
}

static int64_t count_parameters(const esp_prune_request *request) {
  esp_model *resized = resize(request);
  const int64_t count = esp_model_count_parameters(resized);
  esp_model_free(&resized);
  return count;
}

int64_t budget_count_unaligned(const esp_prune_request *request) {
  esp_prune_request free = *request;
  free.ignores_multiple = true;
  return count_parameters(&free);
}

/* The largest sparsity that is not enough, and the smallest that is, next to each other. */
static void bisect(esp_prune_request *request, double *low, double *high) {
  for (int i = 0; i < BISECTIONS; i++) {
    const double middle = (*low + *high) / 2.0;
    *(meets(request, middle) ? high : low) = middle;
  }
}

/* The fewest digits that keep as many units, so that it can be given again. */
static double round_up(esp_prune_request *request, double sparsity) {
  share(request, sparsity);
  const int64_t wanted = count_parameters(request);
  double scale = 100.0;
  for (int digits = 2; digits < MOST_DIGITS; digits++, scale *= 10.0) {
    const double rounded = ceil(sparsity * scale) / scale;
    if (rounded >= 1.0) continue;
    share(request, rounded);
    if (count_parameters(request) == wanted) return rounded;
  }
  return sparsity;
}

/* Those that are not met a step before. */
static void note_binding(esp_prune_request *request, double before) {
  share(request, before);
  esp_model *resized = resize(request);
  for (int i = 0; i < request->budget->n; i++) {
    esp_budget_limit *limit = &request->budget->limits[i];
    limit->binds = !budget_is_within(limit, limit->kind->measure(request, resized));
  }
  esp_model_free(&resized);
}

static void note_dense(esp_prune_request *request) {
  share(request, 0.0);
  esp_model *whole = resize(request);
  for (int i = 0; i < request->budget->n; i++) {
    esp_budget_limit *limit = &request->budget->limits[i];
    limit->dense = limit->kind->measure(request, whole);
  }
  esp_model_free(&whole);
}

/* Allocations by price may take whole sub-layers, which the uniform one leaves. */
static bool may_go_further(const esp_prune_request *request) {
  return request->allocation->is_by_price;
}

static esp_status search(esp_prune_request *request, double *found) {
  double low = 0.0, high = nearly_all;
  *found = 0.0;
  if (meets(request, 0.0)) return ESP_OK;
  if (!meets(request, nearly_all)) {
    esp_model *least = resize(request);
    const esp_status status = may_go_further(request) ? ESP_OK : budget_check(request, least);
    esp_model_free(&least);
    note_binding(request, nearly_all);
    *found = nearly_all;
    return status;
  }
  bisect(request, &low, &high);
  note_binding(request, low);
  *found = round_up(request, high);
  return ESP_OK;
}

/* What the search comes to where no count has to be a multiple. */
static void note_unaligned(esp_prune_request *request) {
  double found;
  request->ignores_multiple = true;
  if (search(request, &found) == ESP_OK) {
    share(request, found);
    request->budget->unaligned = (double)count_parameters(request);
  }
  request->ignores_multiple = false;
}

static void tell(const esp_prune_request *request) {
  const esp_prune_budget *budget = request->budget;
  for (int i = 0; i < budget->n; i++) {
    const esp_budget_limit *limit = &budget->limits[i];
    esp_log_info("budget: --%s %.15g: %.10g (dense %.10g)%s", limit->kind->name, limit->asked,
                 limit->got, limit->dense, limit->binds ? ", binds" : "");
  }
  if (budget->sparsity <= 0.0)
    esp_log_warn("the model is within its budgets as it is: nothing goes");
  else
    esp_log_info("budget: sparsity %s", esp_budget_format(budget->sparsity).text);
}

esp_status budget_settle(const esp_comm *comm, esp_prune_request *request, prune_journal *journal) {
  double found;
  if (!request->budget) return ESP_OK;
  ESP_TRY(budget_speed_prepare(comm, request, journal));
  note_dense(request);
  if (request->settings->allocation.multiple_of != 1) note_unaligned(request);
  ESP_TRY(search(request, &found));
  share(request, found);
  request->budget->sparsity = found;
  esp_model *resized = resize(request);
  esp_prune_request_take(request, resized);
  esp_model_free(&resized);
  tell(request);
  return ESP_OK;
}

esp_status esp_prune_request_settle(const esp_comm *comm, esp_prune_request *request) {
  return budget_settle(comm, request, NULL);
}
