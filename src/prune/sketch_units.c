/* Units of a sketch: how many every site keeps, before any is ranked. */
#include "sketch_units.h"

#include "allocate.h"
#include "allocation_choice.h"
#include "evidence.h"
#include "keep.h"

#include "espalier/core/memory.h"

#include <string.h>

enum { BISECTIONS = 20 };

/* Shares out as if every unit's order were that of its number. */
typedef struct even_task {
  esp_prune_request request;
  allocate_task task;
  double *sparsity;
  int64_t **order;
  double **scores; // all NULL
  esp_allocation_report report;
} even_task;

static const esp_allocation *find_allocation(const char *name) {
  const esp_allocation *found = NULL;
  const esp_status status = esp_allocation_find(name, &found);
  ESP_ASSERT(status == ESP_OK);
  return found;
}

/* No counts are better than the first. */
static esp_status try_nothing(void *context, const esp_allocation_job *job, double *loss) {
  (void)context, (void)job;
  *loss = 0.0;
  return ESP_OK;
}

static void even_init(even_task *self, const esp_prune_request *request, const char *allocation) {
  const int n = request->dense->n_stages;
  *self = (even_task){.request = *request};
  self->request.allocation = find_allocation(allocation);
  self->sparsity = ESP_NEW(double, n);
  self->order = ESP_NEW(int64_t *, n);
  self->scores = ESP_NEW(double *, n);
  memcpy(self->sparsity, request->sparsity, (size_t)n * sizeof *self->sparsity);
  for (int s = 0; s < n; s++) {
    const int64_t units = request->dense->stages[s].units;
    self->order[s] = ESP_NEW(int64_t, units);
    for (int64_t u = 0; u < units; u++) self->order[s][u] = u;
  }
  self->task = (allocate_task){.request = &self->request,
                               .allocation = self->request.allocation,
                               .sparsity = self->sparsity,
                               .order = self->order,
                               .scores = self->scores,
                               .trial = try_nothing};
}

static void even_clear(even_task *self) {
  for (int s = 0; s < self->request.dense->n_stages; s++) esp_free(&self->order[s]);
  esp_free(&self->order);
  esp_free(&self->scores);
  esp_free(&self->sparsity);
  allocation_report_clear(&self->report);
}

/* What is uniform or balanced looks at no scores, and has nothing to refuse. */
static void allocate(even_task *self) {
  allocation_report_clear(&self->report);
  const esp_status status = allocate_units(&self->task, &self->report);
  ESP_ASSERT(status == ESP_OK);
}

/* How much every site keeps under one threshold shows only when it is ranked: as if all sites lost
 * the same fraction of their units, so that as many parameters go. */
static void allocate_by_parameters(even_task *self) {
  double low = 0.0, high = 1.0;
  allocate(self);
  for (int i = 0; i < BISECTIONS; i++) {
    const double middle = (low + high) / 2.0;
    for (int s = 0; s < self->request.dense->n_stages; s++)
      if (request_is_free(&self->request, s)) self->sparsity[s] = middle;
    allocate(self);
    *(self->report.got < self->report.asked ? &low : &high) = middle;
  }
}

static void find_dependence(esp_prune_sketch *sketch) {
  for (int s = 0; s < sketch->request->dense->n_stages; s++)
    sketch->depends[s] = evidence_depends_on_selection(sketch->request, &sketch->selection, s);
}

void units_sketch_selection(esp_prune_sketch *sketch) {
  const esp_prune_request *request = sketch->request;
  even_task even;
  find_dependence(sketch); // before anything is kept
  sketch->tries = allocation_may_try(request);
  sketch->is_priced = request->allocation->needs_scores || sketch->tries;
  even_init(&even, request, sketch->tries ? "balanced" : "uniform");
  if (sketch->is_priced && !sketch->tries && !request->budget)
    allocate_by_parameters(&even);
  else
    allocate(&even);
  for (int s = 0; s < request->dense->n_stages; s++)
    if (request->sparsity[s] >= 0.0)
      keep_first(&request->dense->stages[s], s, NULL, even.report.n_kept[s], &sketch->selection);
    else
      keep_all(&request->dense->stages[s], s, &sketch->selection);
  even_clear(&even);
}

esp_status units_sketch_cut(esp_prune_sketch *sketch) {
  return esp_model_cut(sketch->request->dense, &sketch->selection, &sketch->pruned);
}
