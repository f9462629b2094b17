#include "collect_internal.h"

#include "espalier/core/clones.h"
#include "espalier/core/memory.h"

#include <math.h>

static double *square(const double *values, int64_t n) {
  double *squares = ESP_NEW(double, n);
  for (int64_t i = 0; i < n; i++) squares[i] = values[i] * values[i];
  return squares;
}

static bool is_shared(const site_sums *self) {
  return self->shared.rows > 0;
}

static void init_second(site_sums *self, esp_exact *second) {
  const collect_scale *scale = self->scale;
  if (is_shared(self)) {
    esp_exact_init_diagonal(second, &self->shared);
  } else if (self->is_full) {
    esp_exact_init(second, self->features, self->features, scale->spread, scale->spread);
  } else {
    double *variance = square(scale->spread, self->features);
    esp_exact_init(second, self->features, 1, variance, NULL);
    esp_free(&variance);
  }
}

static void init_part(site_sums *self, moment_sums *part) {
  double *power = square(self->scale->rms, self->features);
  esp_exact_init(&part->first, self->features, 1, self->scale->spread, NULL);
  esp_exact_init(&part->sequences, self->features, 1, power, NULL);
  init_second(self, &part->second);
  esp_free(&power);
}

void site_sums_init(site_sums *self, const collect_pass *pass, int64_t features,
                    const collect_scale *scale, bool is_full) {
  const esp_collect_options *options = pass->options;
  *self = (site_sums){
      .features = features, .is_full = is_full, .scale = scale, .n_parts = options->halves ? 2 : 1};
  if (is_full && options->halves && options->plain_halves)
    esp_exact_init(&self->shared, features, features, scale->spread, scale->spread);
  for (int p = 0; p < self->n_parts; p++) init_part(self, &self->parts[p]);
}

void site_sums_clear(site_sums *self) {
  for (int p = 0; p < self->n_parts; p++) {
    esp_exact_clear(&self->parts[p].first);
    esp_exact_clear(&self->parts[p].second);
    esp_exact_clear(&self->parts[p].sequences);
  }
  esp_exact_clear(&self->shared);
}

/* Squares of the mean magnitudes of some rows; sums (features) is scratch. */
ESP_CLONES static void square_mean(const float *x, int64_t rows, int64_t features, double *sums,
                                   float *out) {
  for (int64_t j = 0; j < features; j++) sums[j] = 0.0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < features; j++) sums[j] += fabs((double)x[r * features + j]);
  for (int64_t j = 0; j < features; j++) {
    const double mean = rows > 0 ? sums[j] / (double)rows : 0.0;
    out[j] = (float)(mean * mean);
  }
}

/* One row a sequence (or image): the squares of its mean magnitudes; scratch (sequences, F). */
static esp_status add_sequences(const site_sums *self, const collect_pass *pass,
                                const site_rows *from, float *scratch, esp_exact *into) {
  const int64_t batch = pass->shard->first + from->i;
  const int64_t n = esp_shard_count_samples(pass->shard, batch);
  const float *x = from->x;
  double *sums = ESP_TAKE(pass->stream.workspace, double, self->features);
  for (int64_t s = 0; s < n; s++) {
    const int64_t rows = esp_shard_count_valid_of(pass->shard, batch, s);
    square_mean(x, rows, self->features, sums, scratch + s * self->features);
    x += rows * self->features;
  }
  return esp_exact_add_local(into, n, scratch, self->features, NULL, 0);
}

ESP_CLONES static void centre(int64_t rows, int64_t n, const float *restrict x,
                              const float *restrict by, float *restrict out) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) out[r * n + j] = x[r * n + j] - by[j];
}

/* x is used up. */
static esp_status add_second(site_sums *self, int64_t rows, float *x, esp_exact *part) {
  const int64_t n = self->features;
  esp_exact *into = is_shared(self) ? &self->shared : part;
  if (is_shared(self)) into->diagonal = part->sum;
  if (self->is_full) return esp_exact_add_local(into, rows, x, n, x, n);
  for (int64_t i = 0; i < rows * n; i++) x[i] *= x[i];
  return esp_exact_add_local(into, rows, x, n, NULL, 0);
}

static esp_status add(site_sums *self, const collect_pass *pass, const site_rows *from,
                      float *scratch) {
  moment_sums *part = &self->parts[(pass->shard->first + from->i) % self->n_parts];
  centre(from->rows, self->features, from->x, self->scale->centre, scratch);
  ESP_TRY(esp_exact_add_local(&part->first, from->rows, scratch, self->features, NULL, 0));
  ESP_TRY(add_second(self, from->rows, scratch, &part->second));
  return add_sequences(self, pass, from, scratch, &part->sequences);
}

esp_status site_sums_add_local(site_sums *self, const collect_pass *pass, const site_rows *from) {
  esp_workspace *workspace = pass->stream.workspace;
  const esp_workspace_mark mark = esp_workspace_set_mark(workspace);
  float *scratch = ESP_TAKE(workspace, float, pass->batch_rows * self->features);
  const esp_status status = add(self, pass, from, scratch);
  esp_workspace_release(workspace, mark);
  return status;
}

enum { ROWS_AT_ONCE = 32 };

typedef struct range {
  int64_t begin, end;
} range;

/* Sums of one part as moments of n rows; none of 0 rows. */
typedef struct moments {
  const site_sums *sums;
  const moment_sums *part;
  double rows;
} moments;

/* E[x] - c, c the centre. */
static double get_shift(const moments *self, int64_t i) {
  return self->rows > 0 ? esp_exact_get(&self->part->first, i, 0) / self->rows : 0.0;
}

/* E[(x - c)^2] - (E[x] - c)^2; sum x^2 = n (Var(x) + E[x]^2), where nothing cancels. */
static void fill_vectors(const moments *self, esp_site_stats *site) {
  const esp_exact *second = &self->part->second;
  for (int64_t i = 0; i < site->features; i++) {
    const double shift = get_shift(self, i);
    const double squares = esp_exact_get(second, i, second->cols > 1 ? i : 0);
    site->mean[i] = (double)self->sums->scale->centre[i] + shift;
    site->variance[i] = fmax(0.0, squares / fmax(self->rows, 1.0) - shift * shift);
    site->norm[i] = sqrt(self->rows * (site->variance[i] + site->mean[i] * site->mean[i]));
    site->activation[i] = sqrt(fmax(0.0, esp_exact_get(&self->part->sequences, i, 0)));
  }
}

/* Rows [begin, end) of E[(x - c) (x - c)^T] - (E[x] - c) (E[x] - c)^T; sums has room for them. */
static void fill_rows(const moments *self, const esp_site_stats *site, const double *shift,
                      range rows, double *sums, float *out) {
  const int64_t f = site->features;
  const double n = fmax(self->rows, 1.0);
  esp_exact_get_rows(is_shared(self->sums) ? &self->sums->shared : &self->part->second, rows.begin,
                     rows.end, sums);
  for (int64_t i = rows.begin; i < rows.end; i++, sums += f, out += f) {
    for (int64_t j = 0; j < f; j++) out[j] = (float)(sums[j] / n - shift[i] * shift[j]);
    out[i] = (float)site->variance[i];
  }
}

/* This rank's block of rows of the covariance. */
static void fill_covariance(const esp_comm *comm, const moments *self, esp_site_stats *site) {
  const int64_t f = site->features, begin = esp_block_begin(f, comm->size, comm->rank);
  const int64_t end = esp_block_begin(f, comm->size, comm->rank + 1);
  double *shift = ESP_NEW(double, f), *sums = ESP_NEW(double, ROWS_AT_ONCE *f);
  for (int64_t j = 0; j < f; j++) shift[j] = get_shift(self, j);
  site->covariance = ESP_NEW(float, (end - begin) * f);
  for (int64_t i = begin; i < end; i += ROWS_AT_ONCE) {
    const range rows = {i, i + ROWS_AT_ONCE < end ? i + ROWS_AT_ONCE : end};
    fill_rows(self, site, shift, rows, sums, site->covariance + (i - begin) * f);
  }
  esp_free(&sums);
  esp_free(&shift);
}

esp_status site_sums_reduce(const esp_comm *comm, site_sums *self) {
  for (int p = 0; p < self->n_parts; p++) {
    ESP_TRY(esp_exact_reduce(comm, &self->parts[p].first));
    ESP_TRY(esp_exact_reduce(comm, &self->parts[p].second));
    ESP_TRY(esp_exact_reduce(comm, &self->parts[p].sequences));
  }
  return is_shared(self) ? esp_exact_reduce(comm, &self->shared) : ESP_OK;
}

void site_sums_give_even(const site_sums *self, const collect_pass *pass, esp_site_stats *site) {
  const moments even = {self, &self->parts[0],
                        (double)esp_stats_count_rows_local(pass->stats, ESP_EVEN)};
  fill_vectors(&even, site);
  if (self->is_full && !pass->options->plain_halves) fill_covariance(pass->comm, &even, site);
}

void site_sums_give_all(site_sums *self, const collect_pass *pass, esp_site_stats *site) {
  const moments all = {self, &self->parts[0], (double)pass->stats->rows};
  if (self->n_parts > 1) {
    esp_exact_merge(&self->parts[0].first, &self->parts[1].first);
    esp_exact_merge(&self->parts[0].second, &self->parts[1].second);
    esp_exact_merge(&self->parts[0].sequences, &self->parts[1].sequences);
  }
  fill_vectors(&all, site);
  if (self->is_full) fill_covariance(pass->comm, &all, site);
}
