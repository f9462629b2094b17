/* Least squares on the dense model's statistics: with centred second moments G,
 *   (G_KK + ridge mean(diag G_KK) I) W'^T = G_K: W^T,  b' = b + W E[x] - W' E[x_K].
 * Without a bias the moments are taken about 0. docs/method/repair.md. */
#include "deal.h"
#include "repair_cost.h"
#include "streams.h"

#include "espalier/core/memory.h"
#include "espalier/linalg/cost.h"
#include "espalier/linalg/gemm.h"
#include "espalier/linalg/solve.h"

typedef struct fit_context {
  const consumer *self;
  const esp_site_stats *site;
  float *rhs; // (K, n_out): G_K: W^T
  bool is_centred;
} fit_context;

static double moment(const fit_context *fit, int64_t i, int64_t j) {
  const esp_site_stats *site = fit->site;
  const double covariance = site->covariance[i * site->features + j];
  return fit->is_centred ? covariance : covariance + site->mean[i] * site->mean[j];
}

static double gram(const void *context, int64_t i, int64_t j) {
  const fit_context *fit = context;
  return moment(fit, fit->self->features[i], fit->self->features[j]);
}

static double rhs(const void *context, int64_t i, int64_t j) {
  const fit_context *fit = context;
  return fit->rhs[i * fit->self->n_out + j];
}

static void form_rhs_block(void *context, int64_t begin, int64_t count) {
  const fit_context *fit = context;
  const consumer *self = fit->self;
  float *rows = ESP_NEW(float, count * self->n_all);
  for (int64_t i = 0; i < count; i++)
    for (int64_t j = 0; j < self->n_all; j++)
      rows[i * self->n_all + j] = (float)moment(fit, self->features[begin + i], j);
  esp_gemm_compute(&(esp_gemm){.transpose_b = true,
                               .m = count,
                               .n = self->n_out,
                               .k = self->n_all,
                               .alpha = 1.0f,
                               .a = rows,
                               .lda = self->n_all,
                               .b = self->dense,
                               .ldb = self->n_all,
                               .c = fit->rhs + begin * self->n_out,
                               .ldc = self->n_out});
  esp_free(&rows);
}

/* G_K: W^T by products in float: their error, 1e-6 of the output's scale, is far below the ridge's.
 * Collective. */
static void form_rhs(const esp_comm *comm, fit_context *fit) {
  const consumer *self = fit->self;
  fit->rhs = ESP_NEW(float, self->n_kept * self->n_out);
  deal_run_local(comm, self->n_kept, form_rhs_block, fit);
  deal_gather_rows(comm, self->n_kept, self->n_out, fit->rhs);
}

static double mean_diagonal(const fit_context *fit) {
  double sum = 0.0;
  for (int64_t i = 0; i < fit->self->n_kept; i++) sum += gram(fit, i, i);
  return sum > 0.0 ? sum / (double)fit->self->n_kept : 1.0;
}

static void take_solution(consumer *self, const double *x, const double *mean) {
  for (int64_t i = 0; i < self->n_out; i++) {
    double shift = 0.0;
    for (int64_t j = 0; j < self->n_all; j++) shift += self->dense[i * self->n_all + j] * mean[j];
    for (int64_t k = 0; k < self->n_kept; k++) {
      self->fitted[i * self->n_kept + k] = (float)x[k * self->n_out + i];
      shift -= x[k * self->n_out + i] * mean[self->features[k]];
    }
    if (self->bias) self->bias[i] += (float)shift;
  }
}

static esp_status solve(esp_repair_job *job, consumer *self, const esp_site_stats *site) {
  fit_context context = {.self = self, .site = site, .is_centred = self->bias != NULL};
  form_rhs(job->comm, &context);
  double *x = ESP_NEW(double, self->n_kept * self->n_out);
  const esp_spd_problem problem = {.n = self->n_kept,
                                   .n_rhs = self->n_out,
                                   .ridge = job->ridge * mean_diagonal(&context),
                                   .gram = gram,
                                   .rhs = rhs,
                                   .context = &context};
  const esp_status status = esp_solve_spd(job->comm, &problem, x);
  if (status == ESP_OK) take_solution(self, x, site->mean);
  esp_free(&x);
  esp_free(&context.rhs);
  return status;
}

const repair_pass least_squares_pass = {"least-squares", consumer_count_inputs_local};

esp_status least_squares_fit(esp_repair_job *job, int stage, consumer *self) {
  (void)stage;
  esp_site_stats site;
  ESP_TRY(esp_stats_load_site(job->stats, self->dense_stage->name, self->n_all, ESP_LOAD_COVARIANCE,
                              &site));
  const esp_status status = solve(job, self, &site);
  esp_site_stats_clear(&site);
  return status;
}

/* What reads the stream is not in the statistics as normalised over fewer dimensions: it needs the
 * samples. */
static esp_status apply(esp_repair_job *job) {
  ESP_TRY(repair_each(job, &least_squares_pass, least_squares_fit));
  return selection_cuts_width(job->selection) ? readers_fit_all(job) : ESP_OK;
}

/* The covariance and G_K: W^T throughout, a block of G_K: in between. */
void least_squares_add_cost(const esp_repair_shape *shape, int stage, esp_cost *cost) {
  const fit_size cut = consumer_size(shape->pruned, stage);
  const double f = (double)shape->dense->stages[stage].consumer.inputs;
  const double k = cut.n_in, out = cut.n_out;
  esp_cost step = {0};
  esp_stats_add_load_cost(shape->stats, f, ESP_LOAD_COVARIANCE, &step);
  esp_cost_hold(&step, fit_value_bytes(cut));
  esp_cost_touch(&step, sizeof(float) * (k < DEAL_ROWS ? k : DEAL_ROWS) * f);
  deal_add_cost(shape->ranks, k, out, &step);
  esp_cost_hold(&step, sizeof(double) * k * out);
  esp_solve_add_cost(shape->ranks, k, out, &step);
  step.work.flops += 2.0 * k * out * f;
  step.kept_bytes = 0.0;
  esp_cost_add(cost, &step);
}

static void add_cost(const esp_repair_shape *shape, esp_cost *cost) {
  repair_each_add_cost(shape, least_squares_add_cost, cost);
  if (shape->is_width_cut) readers_all_add_cost(shape, cost);
}

const esp_repair repair_least_squares = {
    .name = "least-squares",
    .summary = "refit each consumer to its dense output, from the statistics",
    .needs_covariance = true,
    .needs_data_for_width = true,
    .apply = apply,
    .cost = add_cost};
