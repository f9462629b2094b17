#include "stats_internal.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void esp_site_stats_init(esp_site_stats *site, const char *name, int64_t features, int bins) {
  *site = (esp_site_stats){.features = features,
                           .edges = ESP_NEW(float, features *(bins - 1)),
                           .mean = ESP_NEW(double, features),
                           .variance = ESP_NEW(double, features),
                           .norm = ESP_NEW(double, features),
                           .activation = ESP_NEW(double, features)};
  snprintf(site->name, sizeof site->name, "%s", name);
}

esp_site_name esp_stats_name_reader(const esp_model *model, int stage) {
  esp_site_name name;
  const char *reader = stage < model->n_stages ? model->stages[stage].name : "head";
  snprintf(name.text, sizeof name.text, ESP_SITE_WIDTH ".%s", reader);
  return name;
}

void esp_site_stats_clear(esp_site_stats *site) {
  esp_free(&site->edges);
  esp_free(&site->mean);
  esp_free(&site->variance);
  esp_free(&site->norm);
  esp_free(&site->activation);
  esp_free(&site->covariance);
  esp_planes_clear(&site->planes);
}

static void name_dataset(char *text, size_t size, const char *site, const char *dataset) {
  snprintf(text, size, "/%s/%s", site, dataset);
}

/* Unit-major words in memory (kernels), micro-batch-major in the file (one slab a rank). */
typedef enum { TO_FILE, TO_MEMORY } direction;

/* The slab is of the file's micro-batches, the planes may be of a half of them. */
static void reorder_planes_local(const esp_stats *stats, const esp_planes *planes, uint64_t *slab,
                                 direction way) {
  const esp_stats *file = stats->whole ? stats->whole : stats;
  const int64_t n_planes = planes->units * (planes->bins - 1);
  const size_t bytes = (size_t)stats->words * sizeof *slab;
  for (int64_t i = 0; i < file->count; i++) {
    const int64_t place = stats_place_batch_local(stats, i);
    for (int64_t p = 0; p < n_planes && place >= 0; p++) {
      uint64_t *in_file = slab + (i * n_planes + p) * stats->words;
      uint64_t *in_memory = planes->words + p * planes->stride + place * stats->words;
      if (way == TO_FILE)
        memcpy(in_file, in_memory, bytes);
      else
        memcpy(in_memory, in_file, bytes);
    }
  }
}

static esp_h5_shape planes_shape_local(const esp_stats *stats, int64_t features) {
  return (esp_h5_shape){ESP_U64, 4, {stats->n_batches, features, stats->bins - 1, stats->words}};
}

static esp_h5_shape edges_shape(const esp_stats *stats, int64_t features) {
  return (esp_h5_shape){ESP_F32, 2, {features, stats->bins - 1}};
}

static esp_status write_planes(esp_stats *stats, const char *name, const esp_site_stats *site) {
  char path[96];
  name_dataset(path, sizeof path, name, "planes");
  const esp_h5_shape shape = planes_shape_local(stats, site->features);
  const esp_h5_slab slab = {0, stats->first, stats->count};
  uint64_t *words =
      ESP_NEW(uint64_t, stats->count * site->features * (stats->bins - 1) * stats->words);
  reorder_planes_local(stats, &site->planes, words, TO_FILE);
  const esp_status status = esp_h5_write(stats->file, path, &shape, &slab, words);
  esp_free(&words);
  return status;
}

static esp_status write_vector(esp_stats *stats, const char *name, const char *what, int64_t n,
                               const double *values) {
  char path[96];
  name_dataset(path, sizeof path, name, what);
  const esp_h5_shape shape = {ESP_F64, 1, {n}};
  return esp_h5_write_root(stats->file, path, &shape, values);
}

/* This rank's block of rows of an (n, n) matrix. */
static esp_status write_rows(esp_stats *stats, const char *site, const char *what, int64_t n,
                             const float *rows) {
  char path[96];
  name_dataset(path, sizeof path, site, what);
  const int64_t begin = esp_block_begin(n, stats->comm->size, stats->comm->rank);
  const int64_t end = esp_block_begin(n, stats->comm->size, stats->comm->rank + 1);
  const esp_h5_shape shape = {ESP_F32, 2, {n, n}};
  const esp_h5_slab slab = {0, begin, end - begin};
  return esp_h5_write(stats->file, path, &shape, &slab, rows);
}

esp_status esp_stats_write_fisher(esp_stats *stats, const char *stage, int64_t n,
                                  const float *rows) {
  return write_rows(stats, stage, ESP_STATS_FISHER, n, rows);
}

/* Moments and covariance under a name. */
static esp_status write_moments(esp_stats *stats, const char *name, const esp_site_stats *site) {
  const int64_t n = site->features;
  ESP_TRY(write_vector(stats, name, "mean", n, site->mean));
  ESP_TRY(write_vector(stats, name, "variance", n, site->variance));
  ESP_TRY(write_vector(stats, name, "norm", n, site->norm));
  ESP_TRY(write_vector(stats, name, "activation", n, site->activation));
  return site->covariance ? write_rows(stats, name, ESP_STATS_COVARIANCE, n, site->covariance)
                          : ESP_OK;
}

static void name_half(char *text, size_t size, const char *site) {
  snprintf(text, size, "%s/half", site);
}

esp_status esp_stats_write_half(esp_stats *stats, const esp_site_stats *even) {
  char name[80];
  name_half(name, sizeof name, even->name);
  return write_moments(stats, name, even);
}

esp_status esp_stats_write_site(esp_stats *stats, const esp_site_stats *site) {
  char path[96];
  name_dataset(path, sizeof path, site->name, "edges");
  const esp_h5_shape edges = edges_shape(stats, site->features);
  ESP_TRY(esp_h5_write_root(stats->file, path, &edges, site->edges));
  if (stats->about.has_codes) ESP_TRY(write_planes(stats, site->name, site));
  return write_moments(stats, site->name, site);
}

static esp_status expect(esp_stats *stats, const char *site, const char *what,
                         const esp_h5_shape *shape) {
  char path[96];
  name_dataset(path, sizeof path, site, what);
  return esp_h5_expect_shape(stats->file, path, shape);
}

static esp_status read_expected(esp_stats *stats, const char *site, const char *what, void *data) {
  char path[96];
  name_dataset(path, sizeof path, site, what);
  return esp_h5_read_all(stats->file, path, data);
}

static esp_status read_whole(esp_stats *stats, const char *site, const char *what,
                             const esp_h5_shape *shape, void *data) {
  ESP_TRY(expect(stats, site, what, shape));
  return read_expected(stats, site, what, data);
}

esp_status esp_stats_write_layers(esp_stats *stats, int64_t n, const double *cosines) {
  const esp_h5_shape shape = {ESP_F64, 1, {n}};
  return esp_h5_write_root(stats->file, "/layers/cosine", &shape, cosines);
}

esp_status esp_stats_load_layers(esp_stats *stats, int64_t n, double *cosines) {
  const esp_h5_shape shape = {ESP_F64, 1, {n}};
  if (esp_h5_has(stats->file, "/layers/cosine"))
    return read_whole(stats, "layers", "cosine", &shape, cosines);
  return esp_fail(ESP_MISMATCH,
                  "%s: expected the cosines of the layers, found none; collect the statistics "
                  "again, with --width",
                  stats->path);
}

static esp_status read_planes(esp_stats *stats, esp_site_stats *site) {
  char path[96];
  name_dataset(path, sizeof path, site->name, "planes");
  const esp_stats *file = stats->whole ? stats->whole : stats;
  const esp_h5_shape shape = planes_shape_local(file, site->features);
  ESP_TRY(esp_h5_expect_shape(stats->file, path, &shape));
  const esp_h5_slab slab = {0, file->first, file->count};
  uint64_t *words =
      ESP_NEW(uint64_t, file->count * site->features * (stats->bins - 1) * stats->words);
  const esp_status status = esp_h5_read(stats->file, path, &slab, words);
  esp_planes_init(&site->planes, site->features, stats->bins, stats->count * stats->words);
  reorder_planes_local(stats, &site->planes, words, TO_MEMORY);
  esp_free(&words);
  return status;
}

static esp_status read_covariance(esp_stats *stats, const char *name, esp_site_stats *site) {
  const esp_h5_shape shape = {ESP_F32, 2, {site->features, site->features}};
  ESP_TRY(expect(stats, name, ESP_STATS_COVARIANCE, &shape));
  site->covariance = ESP_NEW(float, site->features * site->features);
  return read_expected(stats, name, ESP_STATS_COVARIANCE, site->covariance);
}

/* Moments, and covariance where asked for, from under a name. */
static esp_status read_moments(esp_stats *stats, const char *name, unsigned what,
                               esp_site_stats *site) {
  const esp_h5_shape vector = {ESP_F64, 1, {site->features}};
  ESP_TRY(read_whole(stats, name, "mean", &vector, site->mean));
  ESP_TRY(read_whole(stats, name, "variance", &vector, site->variance));
  ESP_TRY(read_whole(stats, name, "norm", &vector, site->norm));
  ESP_TRY(read_whole(stats, name, "activation", &vector, site->activation));
  return what & ESP_LOAD_COVARIANCE ? read_covariance(stats, name, site) : ESP_OK;
}

/* The odd half is what the even one leaves of the whole. */
static esp_status read_half(esp_stats *stats, unsigned what, esp_site_stats *site) {
  char name[80];
  name_half(name, sizeof name, site->name);
  if (stats->half == ESP_EVEN) return read_moments(stats, name, what, site);
  esp_site_stats even;
  esp_site_stats_init(&even, site->name, site->features, stats->bins);
  esp_status status = read_moments(stats, name, what, &even);
  if (status == ESP_OK) status = read_moments(stats, site->name, what, site);
  if (status == ESP_OK) stats_subtract_local(stats, &even, site);
  esp_site_stats_clear(&even);
  return status;
}

/* A sum with a NaN or an infinity in it is not finite. */
static esp_status check_finite_local(const esp_stats *stats, const esp_site_stats *site) {
  const int64_t n = site->covariance ? site->features * site->features : 0;
  double sum = 0.0;
  for (int64_t i = 0; i < site->features; i++)
    sum += site->mean[i] + site->variance[i] + site->norm[i];
  for (int64_t i = 0; i < n; i++) sum += site->covariance[i];
  if (isfinite(sum)) return ESP_OK;
  return esp_fail(ESP_NUMERIC,
                  "%s: site '%s': expected finite moments, found NaN or infinity; collect the "
                  "statistics again",
                  stats->path, site->name);
}

static uint64_t mask_rows(uint8_t valid) {
  return valid == ESP_WORD_BITS ? UINT64_MAX : (UINT64_C(1) << valid) - 1;
}

/* Bits of a plane that are not in the one below, or (NULL) not in a valid row. */
static uint64_t find_stray(const uint64_t *plane, const uint64_t *below, const uint8_t *valid,
                           int64_t n_words) {
  uint64_t stray = 0;
  for (int64_t w = 0; w < n_words; w++)
    stray |= plane[w] & ~(below ? below[w] : mask_rows(valid[w]));
  return stray;
}

/* A code of b or more is also one of b - 1 or more: joint counts rely on it. */
static esp_status check_planes_local(const esp_stats *stats, const esp_site_stats *site) {
  const esp_planes *planes = &site->planes;
  const int64_t n = planes->units * (planes->bins - 1);
  uint8_t *valid = esp_stats_count_valid_local(stats);
  uint64_t stray = 0;
  for (int64_t p = 0; p < n; p++) {
    const uint64_t *plane = planes->words + p * planes->stride;
    const bool is_first = p % (planes->bins - 1) == 0;
    stray |= find_stray(plane, is_first ? NULL : plane - planes->stride, valid, planes->n_words);
  }
  esp_free(&valid);
  if (stray == 0) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: site '%s': expected codes in planes that lie within each other, found "
                  "others; the file is damaged, collect the statistics again",
                  stats->path, site->name);
}

static esp_status check_site_local(const esp_stats *stats, const esp_site_stats *site) {
  ESP_TRY(check_finite_local(stats, site));
  return site->planes.words ? check_planes_local(stats, site) : ESP_OK;
}

esp_status esp_stats_load_site(esp_stats *stats, const char *name, int64_t features, unsigned what,
                               esp_site_stats *site) {
  /* features may come from /meta alone: nothing is allocated before the file has as many. */
  const esp_h5_shape edges = edges_shape(stats, features);
  *site = (esp_site_stats){0};
  ESP_TRY(expect(stats, name, "edges", &edges));
  esp_site_stats_init(site, name, features, stats->bins);
  esp_status status = read_expected(stats, name, "edges", site->edges);
  if (status == ESP_OK && what & ESP_LOAD_PLANES) status = read_planes(stats, site);
  if (status == ESP_OK)
    status = stats->whole ? read_half(stats, what, site) : read_moments(stats, name, what, site);
  if (status == ESP_OK) status = esp_agree(stats->comm, check_site_local(stats, site));
  if (status != ESP_OK) esp_site_stats_clear(site);
  return status;
}

static esp_status check_matrix_local(const esp_stats *stats, const char *path, int64_t n,
                                     const float *matrix) {
  double sum = 0.0;
  for (int64_t i = 0; i < n * n; i++) sum += (double)matrix[i];
  if (isfinite(sum)) return ESP_OK;
  return esp_fail(ESP_NUMERIC,
                  "%s: expected finite numbers in %s, found NaN or infinity; collect the "
                  "statistics again",
                  stats->path, path);
}

static esp_status load_matrix(esp_stats *stats, const char *site, const char *what, int64_t n,
                              int owner, float *matrix) {
  char path[96];
  name_dataset(path, sizeof path, site, what);
  const esp_h5_shape shape = {ESP_F32, 2, {n, n}};
  const bool is_mine = owner < 0 || owner == stats->comm->rank;
  const esp_h5_slab slab = {0, 0, is_mine ? n : 0};
  ESP_TRY(esp_h5_expect_shape(stats->file, path, &shape));
  ESP_TRY(esp_h5_read(stats->file, path, &slab, matrix));
  return esp_agree(stats->comm, is_mine ? check_matrix_local(stats, path, n, matrix) : ESP_OK);
}

/* Moments of a site, of the even half, and the two matrices, of which the owner's is left with the
 * odd half's. */
static esp_status load_odd_covariance(esp_stats *stats, const char *half, int owner,
                                      esp_site_stats *even, esp_site_stats *site) {
  const int64_t n = site->features;
  ESP_TRY(read_moments(stats, half, 0, even));
  ESP_TRY(read_moments(stats, site->name, 0, site));
  ESP_TRY(load_matrix(stats, half, ESP_STATS_COVARIANCE, n, owner, even->covariance));
  ESP_TRY(load_matrix(stats, site->name, ESP_STATS_COVARIANCE, n, owner, site->covariance));
  if (site->covariance) stats_subtract_local(stats, even, site);
  return ESP_OK;
}

static esp_status load_half_covariance(esp_stats *stats, const char *name, int64_t n, int owner,
                                       float *matrix) {
  char half[80];
  esp_site_stats even, site;
  name_half(half, sizeof half, name);
  if (stats->half == ESP_EVEN)
    return load_matrix(stats, half, ESP_STATS_COVARIANCE, n, owner, matrix);
  esp_site_stats_init(&even, name, n, stats->bins);
  esp_site_stats_init(&site, name, n, stats->bins);
  if (matrix) even.covariance = ESP_NEW(float, n *n);
  site.covariance = matrix; // lent
  const esp_status status = load_odd_covariance(stats, half, owner, &even, &site);
  site.covariance = NULL;
  esp_site_stats_clear(&site);
  esp_site_stats_clear(&even);
  return status;
}

esp_status esp_stats_load_matrix(esp_stats *stats, const char *site, const char *what, int64_t n,
                                 int owner, float *matrix) {
  const bool has_halves = strcmp(what, ESP_STATS_COVARIANCE) == 0;
  return stats->whole && has_halves ? load_half_covariance(stats, site, n, owner, matrix)
                                    : load_matrix(stats, site, what, n, owner, matrix);
}
