/* One threshold over all sites (ours): the steps of all sites, from whole to its least, are sorted
 * by price and taken until the asked part of the parameters is gone, to the nearest step.
 *
 * A step costs the sum of the scores of the units that go, over the parameters that go with them
 * while all else is whole. Scores in nats are taken as they are; others have no common unit, and
 * are divided by their sum at the site, so that whole sites cost the same. Within a site prices
 * never fall.
 *
 * Where a site may vanish, its last step takes what is left of the whole site: the whole cost less
 * that of the steps before it, over all parameters that are left, also those that no unit alone
 * takes. While that is cheaper than the step before it, the two are one. */
#include "allocations.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <stdlib.h>

typedef struct step {
  double price; // of a parameter
  int site;
  int64_t from, to; // units kept before and after
  double cost, parameters;
} step;

typedef struct steps {
  esp_allocation_job *job;
  step *list;
  int64_t n;
  int n_free; // sites without a sparsity of their own
} steps;

static double compute_cost(const esp_allocation_site *site, const int64_t *order, int64_t from,
                           int64_t to) {
  double sum = 0.0;
  for (int64_t i = to; i < from; i++) sum += site->score[order[i]];
  return sum;
}

/* What makes the scores of sites comparable: 1 in nats, else over their sum. */
static double find_scale(const esp_allocation_job *job, const esp_allocation_site *site) {
  double sum = 0.0;
  for (int64_t u = 0; u < site->units; u++) sum += site->score[u];
  return job->is_in_nats || !(sum > 0.0) ? 1.0 : 1.0 / sum;
}

/* Parameters that go with some units of a site while all else is whole. */
static double count_parameters(const esp_allocation_job *job, int site, int64_t removed) {
  int64_t *units = ESP_NEW(int64_t, job->n_sites);
  for (int i = 0; i < job->n_sites; i++) units[i] = job->sites[i].units;
  const int64_t all = esp_allocation_count(job, units);
  units[site] -= removed;
  const int64_t rest = esp_allocation_count(job, units);
  esp_free(&units);
  return (double)(all - rest);
}

static void add_step(steps *self, step next, double price) {
  const step *last = self->n > 0 ? &self->list[self->n - 1] : NULL;
  if (last && last->site == next.site) price = fmax(price, last->price);
  next.price = price;
  self->list[self->n++] = next;
}

/* Of the steps from first on, all of one site, the last leaves nothing. */
static void price_last(steps *self, int64_t first, double scale) {
  const esp_allocation_job *job = self->job;
  step *last = &self->list[self->n - 1];
  const esp_allocation_site *site = &job->sites[last->site];
  double cost = scale * site->whole, parameters = count_parameters(job, last->site, site->units);
  for (const step *taken = &self->list[first]; taken < last; taken++) {
    cost -= taken->cost;
    parameters -= taken->parameters;
  }
  if (site->whole >= 0.0) last->cost = fmax(cost, 0.0);
  last->parameters = parameters;
  last->price = last->cost / last->parameters;
  for (; last > &self->list[first] && last->price < last[-1].price; last--, self->n--) {
    last[-1].to = last->to;
    last[-1].cost += last->cost;
    last[-1].parameters += last->parameters;
    last[-1].price = last[-1].cost / last[-1].parameters;
  }
}

static void add_steps(steps *self, int index) {
  const esp_allocation_job *job = self->job;
  const esp_allocation_site *site = &job->sites[index];
  const int64_t least = allocation_least(job, site);
  const double scale = find_scale(job, site), a_unit = count_parameters(job, index, 1);
  const int64_t first = self->n;
  int64_t *order = ESP_NEW(int64_t, site->units);
  esp_order_by_groups(site->order, site->units, site->per_group, order);
  for (int64_t from = site->units; from > least;) {
    const int64_t to = allocation_next(site, from);
    if (to < least) break;
    const double cost = compute_cost(site, order, from, to), n = (double)(from - to);
    add_step(
        self,
        (step){
            .site = index, .from = from, .to = to, .cost = scale * cost, .parameters = n * a_unit},
        scale / a_unit * cost / n);
    from = to;
  }
  if (self->n > first && least == 0) price_last(self, first, scale);
  esp_free(&order);
}

static int compare_steps(const void *left, const void *right) {
  const step *a = left, *b = right;
  if (a->price != b->price) return a->price < b->price ? -1 : 1;
  if (a->site != b->site) return a->site < b->site ? -1 : 1;
  return (a->from < b->from) - (a->from > b->from); // within a site from the top
}

static void list_steps(steps *self) {
  int64_t most = 0;
  for (int i = 0; i < self->job->n_sites; i++) most += self->job->sites[i].units;
  self->list = ESP_NEW(step, most);
  for (int i = 0; i < self->job->n_sites; i++)
    if (!self->job->sites[i].is_fixed) {
      add_steps(self, i);
      self->n_free++;
    }
  qsort(self->list, (size_t)self->n, sizeof *self->list, compare_steps);
}

static esp_status fail_unreachable(const esp_allocation_job *job) {
  return esp_fail(ESP_USAGE,
                  "--allocation global: expected a sparsity of at most %.4f, all that "
                  "--max-sparsity %g, --min-keep and the sites with a sparsity of their own leave "
                  "to remove, found %g",
                  job->got, job->max_sparsity, job->sparsity);
}

static void set_taken(steps *self, int64_t n) {
  for (int i = 0; i < self->job->n_sites; i++)
    if (!self->job->sites[i].is_fixed) self->job->sites[i].n_kept = self->job->sites[i].units;
  for (int64_t i = 0; i < n; i++) self->job->sites[self->list[i].site].n_kept = self->list[i].to;
}

/* The fewest steps that are enough for a budget, else all. */
static esp_status take_enough(steps *self) {
  int64_t low = 0, high = self->n;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    set_taken(self, middle);
    if (allocation_is_enough(self->job))
      high = middle;
    else
      low = middle + 1;
  }
  set_taken(self, low);
  allocation_measure(self->job);
  if (low > 0) self->job->threshold = self->list[low - 1].price;
  return ESP_OK;
}

/* Take steps until as much is gone as was asked for; the last one only if it comes nearer. */
static esp_status take_steps(steps *self) {
  esp_allocation_job *job = self->job;
  allocation_measure(job);
  for (int64_t i = 0; i < self->n && job->got < job->sparsity; i++) {
    const double before = job->got;
    job->sites[self->list[i].site].n_kept = self->list[i].to;
    allocation_measure(job);
    if (job->got - job->sparsity > job->sparsity - before) {
      job->sites[self->list[i].site].n_kept = self->list[i].from;
      allocation_measure(job);
      return ESP_OK;
    }
    job->threshold = self->list[i].price;
  }
  return self->n_free > 0 && job->got < job->sparsity * (1.0 - 1e-9) ? fail_unreachable(job)
                                                                     : ESP_OK;
}

static esp_status apply(esp_allocation_job *job) {
  steps self = {.job = job};
  for (int i = 0; i < job->n_sites; i++) {
    esp_allocation_site *site = &job->sites[i];
    site->n_kept = site->is_fixed ? esp_budget_uniform(&site->rule, site->units) : site->units;
  }
  job->threshold = 0.0;
  list_steps(&self);
  const esp_status status = job->is_enough ? take_enough(&self) : take_steps(&self);
  esp_free(&self.list);
  return status;
}

const esp_allocation esp_allocation_global = {
    .name = "global",
    .summary = "one threshold on the price of a parameter over all sites",
    .needs_scores = true,
    .is_by_price = true,
    .apply = apply};
