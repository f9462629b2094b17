/* Criteria: what a unit is worth. One file each, one row in criteria.c; pure, deterministic, and
 * without a notion of models: a site is arrays. */
#ifndef ESPALIER_SELECT_CRITERION_H
#define ESPALIER_SELECT_CRITERION_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"
#include "espalier/core/status.h"
#include "espalier/select/mask.h"

#include <stdbool.h>
#include <stdint.h>

ESP_C_BEGIN

/* What a criterion reads; a pruning computes only that. */
enum {
  ESP_NEEDS_INFORMATION = 1, // evidence.information
  ESP_NEEDS_COVARIANCE = 2,  // evidence.covariance
  ESP_NEEDS_MAP = 4,         // evidence.map
  ESP_NEEDS_NORMS = 8,       // evidence.producer_norm, consumer_norm
  ESP_NEEDS_METRIC = 32, // evidence.map times a root of the metric (metric.h), where there is one
  ESP_NEEDS_CODES = 64,  // evidence.covariance from joint counts, whatever --moments says
  ESP_NEEDS_ABOUT_ZERO = 128,         // evidence.covariance is E[x x^T], not centred
  ESP_NEEDS_REDUNDANCY = 256,         // evidence.redundancy
  ESP_NEEDS_CONDITIONAL = 512,        // evidence.conditional, targets
  ESP_NEEDS_LAYER_INFORMATION = 1024, // evidence.layer_information: the units are whole layers
  ESP_NEEDS_LAYER_COSINE = 2048,      // evidence.layer_cosine, likewise
  ESP_NEEDS_MOMENTS = 16              // evidence.mean, variance, norm, activation
};

/* What is known of one site. All arrays are borrowed; those not asked for are NULL. A unit owns
 * `width` consecutive features (1 for neurons, the head size for heads); F = U * width. */
typedef struct esp_evidence {
  const char *site;
  int64_t units, width;     // U
  int64_t upper;            // preserved features of the site above: columns of information
  int64_t outputs;          // P, preserved outputs of the consumer: rows of map
  const float *information; // (F, upper) nats
  const float *redundancy;  // (F, F) nats, I(x_i;x_s), symmetric, entropies on the diagonal
  const float *conditional; // (F, F) nats, mean of I(x_i;x_s|y) over the targets y, symmetric
  const int64_t *targets;   // (n_targets) of the preserved features above
  int64_t n_targets;
  const double *covariance;   // (F, F), symmetric; one triangle is read; may be singular
  const float *map;           // (P, F): how the outputs read the features
  const double *output_scale; // (P): factor of each row of map (the metric's square root), NULL: 1
  const double *mean, *variance, *norm; // (F): E[x], Var(x), sqrt(sum x^2)
  const double *activation;             // (F): sqrt(sum over sequences of (mean |x|)^2)
  const double *layer_information; // (U) of layers: mean information of what it reads and leaves
  const double *layer_cosine;      // (U) of layers: mean cosine of the two
  const double *producer_norm, *consumer_norm; // (U): Euclidean norms of the unit's weights
  bool is_fixed;   // the map will not be refitted after the cut (a tied head); set-mi's joint form
                   // reads it
  double ridge;    // of the covariance, relative to its mean diagonal
  uint64_t seed;   // of random choices
  uint64_t stream; // distinguishes sites in random choices
} esp_evidence;

/* Sizes of that evidence. */
typedef struct esp_criterion_shape {
  int64_t units, width;      // U; F = U * width
  int64_t upper, outputs;    // of information and of map
  bool has_metric, is_fixed; // the map is multiplied by a metric's root; it will not be refitted
  int team;                  // ranks that rank it together; 0 is 1
} esp_criterion_shape;

typedef struct esp_joint_rule esp_joint_rule; // private to select; see joint.h

typedef struct esp_criterion {
  const char *name;
  const char *summary;    // one line for help and tables
  unsigned needs;         // ESP_NEEDS_...
  bool is_data_free;      // statistics of maximum-entropy input, no calibration data
  bool tells_information; // a pruning by it reports information too, though ranking reads none
  bool is_greedy; // a score depends on which units are there, so scores of several readers don't
                  // add up
  esp_mask_rule mask;          // unstructured form; NULL: none
  const esp_joint_rule *joint; // several readers of a greedy criterion; NULL: refused
  /* Order the units from most to least important: order (U) is a permutation; keeping K units keeps
   * order[0..K). score (U, by unit index) never rises along order and is finite: what greedy
   * criteria pay or gain at the step when the unit goes or comes, made monotone by a running
   * maximum of costs (set-mi, >= 0) or minimum of gains (set-mi-forward, nats, >= 0; mi-mrmr,
   * mi-jmi, mi-cmim, nats, which may be negative). Ties break by the lowest unit index; greedy
   * costs within 1e-7 of each other are ties, so that equal units tie in spite of rounding.
   * Criteria that read variances put dead units (of none) last. NUMERIC: the evidence is not
   * finite, a variance is negative, or (set-mi) the covariance is singular and the ridge too small.
   * Local; BLAS must run on one thread for the same bits everywhere. */
  esp_status (*rank)(const esp_evidence *evidence, int64_t *order, double *score);
  /* The same by the ranks of a team together, with the same bits; NULL: one rank does it alone. The
   * evidence's arrays and outputs are read on the first rank, which gets the ranking; the others
   * give the other members alone, and NULL for order and score. Collective on team. */
  esp_status (*rank_by_team)(const esp_comm *team, const esp_evidence *evidence, int64_t *order,
                             double *score);
  /* How many times as fast as one rank a team is (ours, fitted to what two ranks measured:
   * docs/performance.md); NULL without rank_by_team. Local. */
  double (*team_speed)(int64_t features, int ranks);
  /* Put behind cost what ranking evidence of these sizes takes beside it, the metric's root
   * included. What it keeps is the BLAS's, and is held from its beginning. NULL: next to nothing.
   * Local. */
  void (*cost)(const esp_criterion_shape *shape, esp_cost *cost);
} esp_criterion;

/* Find a criterion; USAGE names the nearest ones and the known ones. */
esp_status esp_criterion_find(const char *name, const esp_criterion **criterion);
/* Ranks that can share a ranking of so many features, at least 1. Local. */
int esp_criterion_most_ranks(const esp_criterion *criterion, int64_t features);
/* Rank one site. Local. */
void esp_criterion_add_cost(const esp_criterion *criterion, const esp_criterion_shape *shape,
                            esp_cost *cost);
/* The table, ended by NULL. */
extern const esp_criterion *const esp_criteria[];

/* Write the default output scale (P), 1 / sqrt(Var(y_j) + tiny), y = map x under the covariance,
 * tiny 1e-6 of the mean variance (1 if all are 0). With it set-mi's cost is the rise of sum_j
 * Var(y_j | x_K) / Var(y_j), without it of the squared error of y. Ignores evidence->output_scale.
 * NUMERIC as above. Local. */
esp_status esp_compute_output_scale(const esp_evidence *evidence, double *scale);
void esp_output_scale_add_cost(const esp_criterion_shape *shape, esp_cost *cost);

/* Score units by the sums of their features' scores, and order them. NUMERIC: a score is not
 * finite. */
typedef double (*esp_feature_score)(const esp_evidence *evidence, int64_t feature);
esp_status esp_rank_by_features(const esp_evidence *evidence, esp_feature_score score_of,
                                int64_t *order, double *score);

/* Order units by score, highest first, ties by lowest index. For criteria that only score. */
void esp_rank_by_score(int64_t units, const double *score, int64_t *order);

ESP_C_END

#endif
