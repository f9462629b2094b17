/* Checkpoints: weights, optimiser state and best weights by part, and how far the training had got.
 * Going on from one gives the same bits as never having stopped, at any rank count. Which run it is
 * of the journal says; a hash of that in the file guards against a file from elsewhere. */
#include "policy_cost.h"

#include "espalier/core/hash.h"
#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/io/cost.h"
#include "espalier/io/h5.h"
#include "espalier/io/tensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char format_name[] = "espalier-training";
static const char record_name[] = "training"; // of the journal: it has begun

/* Doubles as they are: a curve that is gone on with has the same bits. */
static json_t *pack_real(double value) {
  char text[32];
  snprintf(text, sizeof text, "%a", value);
  return json_string(text);
}

static double unpack_real(const json_t *value) {
  const char *text = json_string_value(value);
  return text ? strtod(text, NULL) : NAN;
}

static int64_t unpack_int(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

static json_t *pack_point(const esp_train_point *self) {
  return esp_json_pack("[I, o, o, o, o, o, o, o]", (json_int_t)self->step, pack_real(self->rate),
                       pack_real(self->norm), pack_real(self->loss), pack_real(self->accuracy),
                       pack_real(self->held_out), pack_real(self->error),
                       pack_real(self->sparsity));
}

static esp_train_point unpack_point(const json_t *row) {
  return (esp_train_point){.step = json_integer_value(json_array_get(row, 0)),
                           .rate = unpack_real(json_array_get(row, 1)),
                           .norm = unpack_real(json_array_get(row, 2)),
                           .loss = unpack_real(json_array_get(row, 3)),
                           .accuracy = unpack_real(json_array_get(row, 4)),
                           .held_out = unpack_real(json_array_get(row, 5)),
                           .error = unpack_real(json_array_get(row, 6)),
                           .sparsity = unpack_real(json_array_get(row, 7))};
}

/* What held-out data was like before the first step. */
static json_t *pack_before(const train_held_out *self) {
  json_t *all = json_array();
  for (int64_t i = 0; self->before && i < 2 * self->shard.n_batches; i++)
    json_array_append_new(all, json_integer((json_int_t)self->before[i]));
  return all;
}

static void unpack_before(const json_t *all, train_held_out *self) {
  for (int64_t i = 0; self->before && i < 2 * self->shard.n_batches; i++)
    self->before[i] = json_integer_value(json_array_get(all, (size_t)i));
}

static char *describe(const training *self) {
  const train_progress *at = &self->progress;
  json_t *points = json_array();
  for (int i = 0; i < self->report.n_points; i++)
    json_array_append_new(points, pack_point(&self->report.points[i]));
  json_t *all = esp_json_pack(
      "{s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:o, s:I, s:b, s:I, s:o, s:o}", "retries",
      (json_int_t)at->retries, "step", (json_int_t)at->step, "targets",
      (json_int_t)at->tally.targets, "correct", (json_int_t)at->tally.correct, "loss",
      (json_int_t)at->tally.loss, "unit", pack_real(at->tally.unit), "cosine",
      (json_int_t)at->tally.cosine, "best_step", (json_int_t)at->best_step, "best",
      pack_real(at->best), "lowest", pack_real(at->lowest), "without", (json_int_t)at->without,
      "is_stopped", (int)at->is_stopped, "held_out_targets", (json_int_t)self->held.targets,
      "before", pack_before(&self->held), "points", points);
  char *text = esp_json_dump(all, JSON_COMPACT | JSON_SORT_KEYS);
  json_decref(all);
  return text;
}

static esp_status restore(training *self, const char *text) {
  json_t *all = json_loads(text, 0, NULL);
  const json_t *points = json_object_get(all, "points");
  train_progress *at = &self->progress;
  at->step = unpack_int(all, "step");
  at->tally = (esp_tally){.targets = unpack_int(all, "targets"),
                          .correct = unpack_int(all, "correct"),
                          .unit = unpack_real(json_object_get(all, "unit")),
                          .loss = unpack_int(all, "loss"),
                          .cosine = unpack_int(all, "cosine")};
  at->best_step = unpack_int(all, "best_step");
  at->best = unpack_real(json_object_get(all, "best"));
  at->lowest = unpack_real(json_object_get(all, "lowest"));
  unpack_before(json_object_get(all, "before"), &self->held);
  at->without = unpack_int(all, "without");
  at->retries = unpack_int(all, "retries");
  at->is_stopped = json_is_true(json_object_get(all, "is_stopped"));
  self->held.targets = unpack_int(all, "held_out_targets");
  self->report.n_points = (int)json_array_size(points);
  esp_free(&self->report.points);
  self->report.points = ESP_NEW(esp_train_point, self->report.n_points);
  for (int i = 0; i < self->report.n_points; i++)
    self->report.points[i] = unpack_point(json_array_get(points, (size_t)i));
  const bool is_good = json_is_object(all) && at->step >= 0 && at->step <= self->schedule.n;
  json_decref(all);
  if (is_good) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: expected a checkpoint after 0 to %lld steps, found another; "
                  "give --restart to begin again",
                  self->request->checkpoint, (long long)self->schedule.n);
}

/* The arrays, each by part. */
typedef struct train_array {
  const char *name;
  float *own;
} train_array;
enum { MOST_ARRAYS = MOST_SLOTS + MOST_POLICY_ARRAYS + 4 };

static int list_policy_arrays(const train_pruning *self, float *mask, train_array *arrays) {
  static const char *const own[MOST_POLICY_ARRAYS] = {"/policy0", "/policy1", "/policy2"};
  int n = 0;
  if (!self->of) return n;
  arrays[n++] = (train_array){"/mask", mask};
  if (self->latent) arrays[n++] = (train_array){"/latent", self->latent};
  for (int a = 0; a < pruning_count_arrays(self); a++)
    arrays[n++] = (train_array){own[a], self->arrays[a]};
  return n;
}

static int list_arrays(const training *self, float *values, float *mask, train_array *arrays) {
  static const char *const slots[MOST_SLOTS] = {"/slot0", "/slot1"};
  int n = 0;
  arrays[n++] = (train_array){"/values", values};
  for (int s = 0; s < self->method->n_slots; s++)
    arrays[n++] = (train_array){slots[s], self->slots[s]};
  if (self->best) arrays[n++] = (train_array){"/best", self->best};
  return n + list_policy_arrays(&self->pruning, mask, arrays + n);
}

double checkpoint_count_bytes(const training *self) {
  const double arrays = 1.0 + self->method->n_slots + (self->held.objective ? 1.0 : 0.0);
  const double n = (double)self->parts.n_values;
  return arrays * (ESP_H5_OBJECT_BYTES + sizeof(float) * n) + policy_saved_bytes(self) * n;
}

static esp_h5_shape get_shape(const training *self) {
  return (esp_h5_shape){ESP_F32, 1, {self->parts.n_values}};
}

static esp_h5_slab find_slab(const training *self, int p) {
  const parts_piece *piece = &self->parts.pieces[p];
  const int64_t begin = parts_own_begin(&self->parts, piece);
  return (esp_h5_slab){
      .begin = piece->first_value + begin,
      .count = parts_own_end(&self->parts, piece) - begin,
  };
}

static esp_status write_array(const training *self, const train_array *array, esp_h5 *file) {
  const esp_h5_shape shape = get_shape(self);
  ESP_TRY(esp_h5_allot(file, array->name, &shape));
  for (int p = 0; p < self->parts.n_pieces; p++) {
    const esp_h5_slab slab = find_slab(self, p);
    ESP_TRY(esp_h5_write_part(file, array->name, &slab, array->own + self->parts.pieces[p].own));
  }
  return ESP_OK;
}

static esp_status read_array(const training *self, const train_array *array, esp_h5 *file) {
  const esp_h5_shape shape = get_shape(self);
  ESP_TRY(esp_h5_expect_shape(file, array->name, &shape));
  for (int p = 0; p < self->parts.n_pieces; p++) {
    const esp_h5_slab slab = find_slab(self, p);
    ESP_TRY(esp_h5_read(file, array->name, &slab, array->own + self->parts.pieces[p].own));
  }
  return ESP_OK;
}

/* Of this rank's blocks of a piece. */
static uint64_t hash_piece(const training *self, const train_array *array, int p, uint64_t chain) {
  const parts_piece *piece = &self->parts.pieces[p];
  const int64_t from = parts_own_begin(&self->parts, piece);
  const int64_t to = parts_own_end(&self->parts, piece);
  uint64_t sum = 0;
  for (int64_t i = from; i < to; i += PARTS_BLOCK) {
    const int64_t n = to - i < PARTS_BLOCK ? to - i : PARTS_BLOCK;
    const uint64_t place = chain + 8 * (uint64_t)(piece->first_value + i);
    sum += esp_hash(place, array->own + piece->own + i - from, (size_t)n * sizeof(float));
  }
  return sum;
}

/* A hash of all values and of the text, the same however they are dealt: blocks' hashes are added.
 * Collective. */
static uint64_t hash_all(const training *self, const train_array *arrays, int n, const char *text) {
  int64_t sum = 0;
  for (int a = 0; a < n; a++)
    for (int p = 0; p < self->parts.n_pieces; p++)
      sum = (int64_t)((uint64_t)sum + hash_piece(self, &arrays[a], p, (uint64_t)a));
  esp_allreduce_sum_i64(self->comm, &sum, 1);
  return esp_hash_text((uint64_t)sum, text);
}

/* What is known of units: whether they live, and the policy's arrays, one behind the other; the
 * same on all ranks. The caller's. */
static double *pack_units(const train_pruning *self, int64_t *n) {
  const int arrays = self->by_units ? 1 + self->of->n_unit_arrays : 0;
  *n = arrays * self->units.n;
  double *all = ESP_NEW(double, *n);
  for (int64_t u = 0; u < *n; u++) {
    const int64_t unit = u % self->units.n, a = u / self->units.n;
    all[u] = a == 0 ? self->alive[unit] : self->unit_arrays[a - 1][unit];
  }
  return all;
}

static void unpack_units(train_pruning *self, const double *all, int64_t n) {
  for (int64_t u = 0; u < n; u++) {
    const int64_t unit = u % self->units.n, a = u / self->units.n;
    if (a == 0)
      self->alive[unit] = all[u] != 0.0;
    else
      self->unit_arrays[a - 1][unit] = all[u];
  }
}

static esp_status write_units(const training *self, esp_h5 *file) {
  int64_t n;
  double *all = pack_units(&self->pruning, &n);
  const esp_h5_shape shape = {ESP_F64, 1, {n}};
  const esp_status status = n > 0 ? esp_h5_write_root(file, "/units", &shape, all) : ESP_OK;
  esp_free(&all);
  return status;
}

static esp_status read_units(training *self, esp_h5 *file) {
  int64_t n;
  double *all = pack_units(&self->pruning, &n); // for its size
  const esp_h5_shape shape = {ESP_F64, 1, {n}};
  esp_status status = n > 0 ? esp_h5_expect_shape(file, "/units", &shape) : ESP_OK;
  if (status == ESP_OK && n > 0) status = esp_h5_read_all(file, "/units", all);
  if (status == ESP_OK) unpack_units(&self->pruning, all, n);
  esp_free(&all);
  return status;
}

static uint64_t hash_units(const train_pruning *self, uint64_t chain) {
  int64_t n;
  double *all = pack_units(self, &n);
  if (n > 0) chain = esp_hash(chain, all, (size_t)n * sizeof *all);
  esp_free(&all);
  return chain;
}

/* A training without a policy has none. */
static float *copy_mask(const training *self) {
  const int64_t n = self->pruning.of ? self->parts.n_own : 0;
  float *mask = ESP_NEW(float, n);
  for (int64_t i = 0; i < n; i++) mask[i] = self->pruning.mask[i];
  return mask;
}

static esp_status write_all(const training *self, float *values, esp_h5 *file) {
  static const esp_h5_shape scalar = {ESP_U64, 1, {1}};
  train_array arrays[MOST_ARRAYS];
  float *mask = copy_mask(self);
  const int n = list_arrays(self, values, mask, arrays);
  char *text = describe(self);
  parts_copy_own_local(&self->parts, values);
  const uint64_t hash = hash_units(&self->pruning, hash_all(self, arrays, n, text));
  esp_status status = esp_meta_write(file, format_name, "{}");
  if (status == ESP_OK) status = esp_h5_write_text(file, "/progress", text);
  if (status == ESP_OK) status = esp_h5_write_root(file, "/hash", &scalar, &hash);
  for (int i = 0; i < n && status == ESP_OK; i++) status = write_array(self, &arrays[i], file);
  if (status == ESP_OK) status = write_units(self, file);
  esp_free(&mask);
  esp_free(&text);
  return status;
}

esp_status checkpoint_save(const training *self) {
  esp_h5 *file = NULL;
  ESP_TRY(esp_h5_create(self->comm, self->request->checkpoint, &file));
  float *values = ESP_NEW(float, self->parts.n_own);
  esp_status status = write_all(self, values, file);
  if (status == ESP_OK)
    status = esp_h5_commit(&file);
  else
    esp_h5_close(&file);
  esp_free(&values);
  return status;
}

static esp_status check_hash(const training *self, uint64_t found, uint64_t stored) {
  if (found == stored) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: expected what was saved (hash %016" PRIx64
                  "), found other bytes (%016" PRIx64 "): the checkpoint is damaged",
                  self->request->checkpoint, stored, found);
}

static esp_status read_and_check(training *self, const train_array *arrays, int n, const char *text,
                                 esp_h5 *file) {
  static const esp_h5_shape scalar = {ESP_U64, 1, {1}};
  uint64_t stored;
  for (int i = 0; i < n; i++) ESP_TRY(read_array(self, &arrays[i], file));
  ESP_TRY(read_units(self, file));
  ESP_TRY(esp_h5_expect_shape(file, "/hash", &scalar));
  ESP_TRY(esp_h5_read_all(file, "/hash", &stored));
  const uint64_t found = hash_units(&self->pruning, hash_all(self, arrays, n, text));
  return check_hash(self, found, stored); // equal on all ranks
}

static esp_status read_arrays(training *self, float *values, const char *text, esp_h5 *file) {
  train_array arrays[MOST_ARRAYS];
  float *mask = copy_mask(self);
  const int n = list_arrays(self, values, mask, arrays);
  const esp_status status = read_and_check(self, arrays, n, text, file);
  for (int64_t i = 0; self->pruning.of && i < self->parts.n_own; i++)
    self->pruning.mask[i] = mask[i] != 0.0f;
  esp_free(&mask);
  ESP_TRY(status);
  parts_gather(self->comm, &self->parts, values);
  if (!self->pruning.of) return ESP_OK;
  pruning_apply(self->comm, &self->pruning);
  parts_gather(self->comm, &self->parts, NULL);
  return ESP_OK;
}

static esp_status read_all(training *self, float *values, esp_h5 *file) {
  char *text = NULL;
  ESP_TRY(esp_meta_read(file, format_name, &text));
  esp_free(&text);
  ESP_TRY(esp_h5_read_text(file, "/progress", &text));
  esp_status status = restore(self, text); // equal on all ranks
  if (status == ESP_OK) status = read_arrays(self, values, text, file);
  esp_free(&text);
  return status;
}

static esp_status read_file(training *self) {
  esp_h5 *file = NULL;
  ESP_TRY(esp_h5_open(self->comm, self->request->checkpoint, &file));
  float *values = ESP_NEW(float, self->parts.n_own);
  const esp_status status = read_all(self, values, file);
  esp_h5_close(&file);
  esp_free(&values);
  return status;
}

/* What lies there before a run's first record is of another run. */
static esp_status claim(training *self, bool *is_own) {
  esp_journal *journal = self->request->journal;
  *is_own = !journal || esp_journal_find_local(journal, record_name) >= 0;
  if (*is_own) return ESP_OK;
  esp_train_remove_checkpoint(self->comm, self->request->checkpoint);
  return esp_journal_append(journal, record_name, "", 0);
}

esp_status checkpoint_load(training *self, bool *found) {
  const char *path = self->request->checkpoint;
  bool is_own;
  *found = false;
  ESP_TRY(claim(self, &is_own));
  const bool mine = is_own && self->comm->rank == 0 && path && access(path, F_OK) == 0;
  if (esp_agree_max_i64(self->comm, mine) == 0) {
    if (is_own && self->request->journal)
      esp_log_info("train: interrupted before its first checkpoint: it begins again");
    return ESP_OK;
  }
  *found = true;
  const esp_status status = read_file(self);
  if (status == ESP_OK) return ESP_OK;
  return esp_fail(status, "%s; give --restart to begin again", esp_failure_text());
}

void esp_train_remove_checkpoint(const esp_comm *comm, const char *checkpoint) {
  if (comm->rank > 0 || !checkpoint) return;
  char *partial = esp_format("%s.partial", checkpoint); // of a run that was killed while it wrote
  unlink(checkpoint);
  unlink(partial);
  esp_free(&partial);
}
