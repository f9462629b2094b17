/* Sites of one kind and size keep equally many units (ours), so that a pruned transformer has one
 * width of the feed-forward part and one number of heads, and opens wherever a uniform one does.
 * How the asked part of the parameters is shared between kinds is tried: the loss is measured with
 * as many heads as the uniform allocation keeps, with some more, and with some fewer, the kind
 * whose steps are finest making up for it, and so on from the best until neither neighbour is
 * better. */
#include "allocations.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

enum { FIRST_STRIDE = 8, LAST_STRIDE = 16 }; // of a kind's counts; one count at least

typedef struct kind {
  int first;        // site
  int n_counts, at; // of the counts, the one it stands at
  int64_t *counts;  // (n_counts) kept units, from all to the least
} kind;

typedef struct balance {
  esp_allocation_job *job;
  kind *kinds;
  int n_kinds, *kind_of; // (n_sites) -1: not ours to change
  int finest;
  double step;   // of the finest, as a part of the parameters
  double *known; // (n_counts of the kind that moves) losses; NAN: not tried
} balance;

static bool are_alike(const esp_allocation_site *a, const esp_allocation_site *b) {
  return strcmp(a->kind, b->kind) == 0 && a->units == b->units &&
         a->rule.multiple_of == b->rule.multiple_of;
}

static void open_kind(balance *self, int first) {
  const esp_allocation_site *site = &self->job->sites[first];
  kind *added = &self->kinds[self->n_kinds++];
  const int64_t least = allocation_least(self->job, site);
  const int64_t even = esp_budget_uniform(&site->rule, site->units);
  *added = (kind){.first = first, .counts = ESP_NEW(int64_t, site->units + 1)};
  for (int64_t n = site->units; n >= least && n > 0; n = allocation_next(site, n))
    added->counts[added->n_counts++] = n;
  while (added->at + 1 < added->n_counts && added->counts[added->at] > even) added->at++;
}

static void list_kinds(balance *self) {
  const esp_allocation_job *job = self->job;
  self->kinds = ESP_NEW(kind, job->n_sites);
  self->kind_of = ESP_NEW(int, job->n_sites);
  for (int s = 0; s < job->n_sites; s++) {
    self->kind_of[s] = -1;
    if (job->sites[s].is_fixed) continue;
    int k = 0;
    while (k < self->n_kinds && !are_alike(&job->sites[s], &job->sites[self->kinds[k].first])) k++;
    if (k == self->n_kinds) open_kind(self, s);
    self->kind_of[s] = k;
  }
}

static void set_counts(balance *self) {
  for (int s = 0; s < self->job->n_sites; s++) {
    const int k = self->kind_of[s];
    if (k >= 0) self->job->sites[s].n_kept = self->kinds[k].counts[self->kinds[k].at];
  }
}

/* The part of the parameters that goes. */
static double measure(balance *self) {
  set_counts(self);
  allocation_measure(self->job);
  return self->job->got;
}

static double measure_at(balance *self, int k, int at) {
  self->kinds[k].at = at;
  return measure(self);
}

static void find_finest(balance *self) {
  self->step = INFINITY;
  for (int k = 0; k < self->n_kinds; k++) {
    const int at = self->kinds[k].at;
    if (self->kinds[k].n_counts < 2) continue;
    const double whole = measure_at(self, k, 0), step = measure_at(self, k, 1) - whole;
    self->kinds[k].at = at;
    if (step >= self->step) continue;
    self->step = step;
    self->finest = k;
  }
}

static bool is_enough_at(balance *self, int k, int at) {
  self->kinds[k].at = at;
  set_counts(self);
  return allocation_is_enough(self->job);
}

/* Of the finest kind the first count that is enough, or the last. */
static int find_enough(balance *self) {
  int low = 0, high = self->kinds[self->finest].n_counts - 1;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (is_enough_at(self, self->finest, middle))
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* Let the finest kind come as near as it can to what is asked: how far off that is, beyond half a
 * step; a budget is reached or not. */
static double fill(balance *self) {
  const double asked = self->job->sparsity, half = self->step / 2 * (1 + 1e-6); // with ties
  const int low = find_enough(self);
  if (self->job->is_enough) return is_enough_at(self, self->finest, low) ? 0.0 : 1.0;
  const double off = fabs(measure_at(self, self->finest, low) - asked);
  if (low == 0) return fmax(0.0, off - half);
  const double before = fabs(measure_at(self, self->finest, low - 1) - asked);
  if (before > off) measure_at(self, self->finest, low);
  return fmax(0.0, fmin(off, before) - half);
}

/* Whether what is asked is reached with a kind at a count as well as the best reaches it. */
static bool reaches(balance *self, int k, int at, double off) {
  if (at < 0 || at >= self->kinds[k].n_counts) return false;
  self->kinds[k].at = at;
  return fill(self) <= off;
}

/* The loss with a kind at a count; infinite where that does not reach. */
static esp_status try_count(balance *self, int k, int at, double off, double *loss) {
  *loss = INFINITY;
  if (!reaches(self, k, at, off)) return ESP_OK;
  if (isnan(self->known[at]))
    ESP_TRY(self->job->trial(self->job->context, self->job, &self->known[at]));
  *loss = self->known[at];
  return ESP_OK;
}

/* Move a kind to the better neighbour as long as there is one. */
static esp_status descend(balance *self, int k, int stride, bool *moved) {
  int best = self->kinds[k].at;
  const double off = fill(self);
  for (bool moves = true; moves;) {
    const int tried[2] = {best - stride, best + stride};
    double least;
    moves = false;
    if (!reaches(self, k, tried[0], off) && !reaches(self, k, tried[1], off)) break;
    ESP_TRY(try_count(self, k, best, off, &least));
    for (int i = 0; i < 2; i++) {
      double loss;
      ESP_TRY(try_count(self, k, tried[i], off, &loss));
      if (loss >= least) continue;
      least = loss;
      best = tried[i];
      moves = *moved = true;
    }
  }
  self->kinds[k].at = best;
  fill(self);
  return ESP_OK;
}

static int find_stride(const kind *self, int part) {
  return self->n_counts / part > 1 ? self->n_counts / part : 1;
}

static esp_status settle(balance *self, int k, bool *moved) {
  const kind *settled = &self->kinds[k];
  esp_status status = ESP_OK;
  self->known = ESP_NEW(double, settled->n_counts);
  for (int i = 0; i < settled->n_counts; i++) self->known[i] = NAN;
  for (int stride = find_stride(settled, FIRST_STRIDE);
       stride >= find_stride(settled, LAST_STRIDE) && status == ESP_OK; stride /= 2)
    status = descend(self, k, stride, moved);
  esp_free(&self->known);
  return status;
}

/* With two kinds one of them moves, once; with more each in turn, until none does. */
static esp_status search(balance *self) {
  fill(self);
  for (bool moved = true; moved && self->n_kinds > 1;) {
    moved = false;
    for (int k = 0; k < self->n_kinds; k++)
      if (k != self->finest) ESP_TRY(settle(self, k, &moved));
    if (self->n_kinds == 2) return ESP_OK;
  }
  return ESP_OK;
}

static void clear(balance *self) {
  for (int k = 0; k < self->n_kinds; k++) esp_free(&self->kinds[k].counts);
  esp_free(&self->kinds);
  esp_free(&self->kind_of);
}

static esp_status apply(esp_allocation_job *job) {
  balance self = {.job = job};
  for (int s = 0; s < job->n_sites; s++)
    job->sites[s].n_kept = esp_budget_uniform(&job->sites[s].rule, job->sites[s].units);
  list_kinds(&self);
  find_finest(&self);
  const esp_status status = isfinite(self.step) ? search(&self) : ESP_OK;
  measure(&self);
  clear(&self);
  return status;
}

const esp_allocation esp_allocation_balanced = {
    .name = "balanced",
    .summary = "sites of one kind keep equally many units; how kinds share is tried",
    .needs_scores = true,
    .needs_trial = true,
    .apply = apply};
