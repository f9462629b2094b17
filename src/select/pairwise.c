#include "pairwise.h"

#include "check.h"
#include "gaussian.h"

#include "espalier/core/memory.h"

#include <math.h>

/* One reader's terms, or the sum of several readers'. */
typedef struct pairwise {
  const pairwise_form *form;
  int64_t units;
  double *relevance; // (U)
  double *overlap;   // (U, U)
  double *entropy;   // (U) mean over features; 0: dead
} pairwise;

static double average(const float *values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)values[i];
  return count > 0 ? sum / (double)count : 0;
}

static double average_targets(const esp_evidence *evidence, const float *row) {
  double sum = 0;
  for (int64_t t = 0; t < evidence->n_targets; t++) sum += (double)row[evidence->targets[t]];
  return evidence->n_targets > 0 ? sum / (double)evidence->n_targets : 0;
}

/* The site's information with the mean preserved unit over that with the mean target. What y
 * explains of I(x_i;x_s) is at most I(x_i;y): times this, what the targets explain stands beside a
 * relevance that is the mean over all preserved units (ours). */
static double compute_footing(const esp_evidence *evidence) {
  double all = 0, targets = 0;
  for (int64_t f = 0; f < evidence->units * evidence->width; f++) {
    const float *row = evidence->information + f * evidence->upper;
    all += average(row, evidence->upper);
    targets += average_targets(evidence, row);
  }
  return targets > 0 ? all / targets : 0;
}

static double compute_relevance(const esp_evidence *evidence, int64_t unit) {
  const int64_t width = evidence->width, upper = evidence->upper;
  double sum = 0;
  for (int64_t f = unit * width; f < (unit + 1) * width; f++)
    sum += average(evidence->information + f * upper, upper);
  return sum / (double)width;
}

/* Mean of a unit pair's block of an (F, F) matrix. */
static double average_block(const esp_evidence *evidence, const float *matrix, int64_t i,
                            int64_t j) {
  const int64_t width = evidence->width, features = evidence->units * width;
  double sum = 0;
  for (int64_t f = i * width; f < (i + 1) * width; f++)
    sum += average(matrix + f * features + j * width, width);
  return sum / (double)width;
}

static double compute_overlap(const pairwise_form *form, const esp_evidence *evidence, int64_t i,
                              int64_t j) {
  const double redundancy = average_block(evidence, evidence->redundancy, i, j);
  return form->is_conditional ? redundancy - average_block(evidence, evidence->conditional, i, j)
                              : redundancy;
}

static double compute_entropy(const esp_evidence *evidence, int64_t unit) {
  const int64_t width = evidence->width, features = evidence->units * width;
  double sum = 0;
  for (int64_t f = unit * width; f < (unit + 1) * width; f++)
    sum += (double)evidence->redundancy[f * features + f];
  return sum / (double)width;
}

static esp_status check(const pairwise_form *form, const esp_evidence *evidence) {
  const int64_t features = evidence->units * evidence->width;
  const char *site = evidence->site;
  ESP_TRY(esp_check_floats(site, "information", evidence->information, features * evidence->upper));
  ESP_TRY(esp_check_floats(site, "redundancy", evidence->redundancy, features * features));
  return form->is_conditional ? esp_check_floats(site, "conditional information",
                                                 evidence->conditional, features * features)
                              : ESP_OK;
}

static pairwise *allocate(const pairwise_form *form, int64_t units) {
  pairwise *self = ESP_NEW(pairwise, 1);
  *self = (pairwise){.form = form,
                     .units = units,
                     .relevance = ESP_NEW(double, units),
                     .overlap = ESP_NEW(double, units *units),
                     .entropy = ESP_NEW(double, units)};
  return self;
}

static esp_status pairwise_new(const pairwise_form *form, const esp_evidence *evidence,
                               pairwise **self) {
  const int64_t units = evidence->units;
  *self = NULL;
  ESP_TRY(check(form, evidence));
  *self = allocate(form, units);
  const double footing = form->is_conditional ? compute_footing(evidence) : 1;
  for (int64_t i = 0; i < units; i++) {
    (*self)->relevance[i] = compute_relevance(evidence, i);
    (*self)->entropy[i] = compute_entropy(evidence, i);
    for (int64_t j = 0; j < units; j++)
      (*self)->overlap[i * units + j] = footing * compute_overlap(form, evidence, i, j);
  }
  return ESP_OK;
}

static void pairwise_free(pairwise **self) {
  if (!*self) return;
  esp_free(&(*self)->relevance);
  esp_free(&(*self)->overlap);
  esp_free(&(*self)->entropy);
  esp_free(self);
}

static void add_scaled(int64_t n, double factor, const double *from, double *to) {
  for (int64_t i = 0; i < n; i++) to[i] += factor * from[i];
}

esp_status pairwise_add(const pairwise_form *form, const esp_evidence *reader, joint_part **sum) {
  pairwise *own = NULL, *all = (pairwise *)*sum;
  ESP_TRY(pairwise_new(form, reader, &own));
  const int64_t units = own->units;
  double total = 0;
  if (!all) all = allocate(form, units);
  for (int64_t i = 0; i < units; i++) total += own->relevance[i];
  const double factor = total > 0 ? 1 / total : 0;
  add_scaled(units, factor, own->relevance, all->relevance);
  add_scaled(units * units, factor, own->overlap, all->overlap);
  add_scaled(units, 1, own->entropy, all->entropy);
  pairwise_free(&own);
  *sum = (joint_part *)all;
  return ESP_OK;
}

/* A selection under way. J_i = relevance_i - penalty(overlaps with the chosen). */
typedef struct greedy {
  const pairwise *pairs;
  double *penalty; // (U): sum, or largest, of the overlaps with the chosen units
  bool *chosen;    // (U)
  int64_t n_chosen;
  double tie;
} greedy;

static bool is_left(const greedy *self, int64_t unit) {
  return !self->chosen[unit] && self->pairs->entropy[unit] > 0;
}

static double compute_gain(const greedy *self, int64_t unit) {
  const double share = self->pairs->form->is_worst ? 1 : (double)self->n_chosen;
  return self->pairs->relevance[unit] - (self->n_chosen > 0 ? self->penalty[unit] / share : 0);
}

/* Terms are in single precision: what differs by less than their rounding is a tie. */
static double find_tie(const pairwise *pairs) {
  const int64_t units = pairs->units;
  double largest = 0;
  for (int64_t i = 0; i < units; i++) {
    largest = fmax(largest, fabs(pairs->relevance[i]));
    for (int64_t j = 0; j < units; j++)
      largest = fmax(largest, fabs(pairs->overlap[i * units + j]));
  }
  return ESP_TIE * largest;
}

/* The largest gain, the lowest index among ties; -1: only dead units are left. */
static int64_t pick(const greedy *self) {
  double largest = -INFINITY;
  for (int64_t u = 0; u < self->pairs->units; u++)
    if (is_left(self, u)) largest = fmax(largest, compute_gain(self, u));
  for (int64_t u = 0; u < self->pairs->units; u++)
    if (is_left(self, u) && compute_gain(self, u) >= largest - self->tie) return u;
  return -1;
}

static void choose(greedy *self, int64_t unit) {
  const int64_t units = self->pairs->units;
  const double *overlap = self->pairs->overlap + unit * units;
  for (int64_t u = 0; u < units; u++)
    if (!self->pairs->form->is_worst)
      self->penalty[u] += overlap[u];
    else
      self->penalty[u] = self->n_chosen > 0 ? fmax(self->penalty[u], overlap[u]) : overlap[u];
  self->chosen[unit] = true;
  self->n_chosen++;
}

/* Dead units behind all others. */
static void append_dead(const greedy *self, double least, int64_t *order, double *score) {
  int64_t n = self->n_chosen;
  for (int64_t u = 0; u < self->pairs->units; u++) {
    if (self->chosen[u]) continue;
    order[n++] = u;
    score[u] = fmin(least, 0);
  }
}

static void pairwise_select(const pairwise *self, int64_t *order, double *score) {
  greedy state = {.pairs = self,
                  .penalty = ESP_NEW(double, self->units),
                  .chosen = ESP_NEW(bool, self->units),
                  .tie = find_tie(self)};
  double least = INFINITY;
  for (int64_t unit = pick(&state); unit >= 0; unit = pick(&state)) {
    least = fmin(least, compute_gain(&state, unit));
    order[state.n_chosen] = unit;
    score[unit] = least;
    choose(&state, unit);
  }
  append_dead(&state, least, order, score);
  esp_free(&state.penalty);
  esp_free(&state.chosen);
}

esp_status pairwise_rank(const pairwise_form *form, const esp_evidence *evidence, int64_t *order,
                         double *score) {
  pairwise *pairs = NULL;
  ESP_TRY(pairwise_new(form, evidence, &pairs));
  pairwise_select(pairs, order, score);
  pairwise_free(&pairs);
  return ESP_OK;
}

esp_status pairwise_rank_sum(const joint_readers *sum, int64_t *order, double *score) {
  if (sum->n > 0) pairwise_select((const pairwise *)sum->parts[0], order, score);
  return ESP_OK;
}

void pairwise_free_sum(joint_part **sum) {
  pairwise *own = (pairwise *)*sum;
  pairwise_free(&own);
  *sum = NULL;
}

/* Two matrices of features become one of units, and each unit that is chosen passes over its row.
 */
void pairwise_add_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  const double u = (double)shape->units, f = u * (double)shape->width;
  esp_cost_touch(cost, sizeof(double) * u * (u + 3.0));
  cost->work.serial += 2.0 * f * f + 2.0 * u * u;
}

/* A reader's own terms, beside the sum of all. */
void pairwise_add_reader_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  const double u = (double)shape->units;
  esp_cost_hold(cost, sizeof(double) * u * (u + 3.0));
  pairwise_add_cost(shape, cost);
}
