#include "parts.h"

#include "trainable.h"

#include "espalier/core/memory.h"

#include <string.h>

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static void lay_out_groups(train_parts *self) {
  for (int w = 0; w < self->model->n_weights; w++) {
    const esp_weight *weight = &self->model->weights[w];
    parts_group *group = &self->groups[weight->stage + 1];
    self->offset[w] = group->n;
    if (!self->trains[w]) continue;
    self->is_masked[w] = trainable_is_masked(self->model, w);
    group->n += esp_weight_count(weight);
  }
}

static int64_t count_blocks(int64_t n) {
  return (n + PARTS_BLOCK - 1) / PARTS_BLOCK;
}

static void deal_piece(train_parts *self, const esp_comm *comm, parts_piece *piece) {
  const int64_t blocks = count_blocks(piece->n);
  piece->begins = ESP_NEW(int64_t, comm->size + 1);
  for (int r = 0; r <= comm->size; r++)
    piece->begins[r] = smaller(piece->n, PARTS_BLOCK * esp_block_begin(blocks, comm->size, r));
  piece->own = self->n_own;
  piece->first_block = self->n_blocks;
  piece->first_value = self->n_values;
  self->n_own += parts_own_end(self, piece) - parts_own_begin(self, piece);
  self->n_blocks += blocks;
  self->n_values += piece->n;
}

static void cut_group(train_parts *self, const esp_comm *comm, int g) {
  parts_group *group = &self->groups[g];
  group->first_piece = self->n_pieces;
  for (int64_t begin = 0; begin < group->n; begin += PARTS_PIECE) {
    parts_piece *piece = &self->pieces[self->n_pieces++];
    *piece = (parts_piece){.group = g, .begin = begin, .n = smaller(PARTS_PIECE, group->n - begin)};
    deal_piece(self, comm, piece);
  }
  group->n_pieces = self->n_pieces - group->first_piece;
}

static void add_runs(train_parts *self, const parts_piece *piece, parts_run *runs) {
  const int64_t from = parts_own_begin(self, piece), to = parts_own_end(self, piece);
  parts_segment segment;
  for (int w = 0; w < self->model->n_weights; w++) {
    if (!parts_find_segment(self, piece, w, from, to, &segment)) continue;
    if (runs)
      runs[self->n_runs] = (parts_run){.weight = w,
                                       .at = segment.at,
                                       .n = segment.n,
                                       .own = piece->own + segment.place - from,
                                       .place = piece->first_value + segment.place};
    self->n_runs++;
  }
}

/* Counted, then listed. */
static void list_runs(train_parts *self) {
  for (int p = 0; p < self->n_pieces; p++) add_runs(self, &self->pieces[p], NULL);
  parts_run *runs = ESP_NEW(parts_run, self->n_runs);
  self->n_runs = 0;
  for (int p = 0; p < self->n_pieces; p++) add_runs(self, &self->pieces[p], runs);
  self->runs = runs;
}

void parts_init(train_parts *self, const esp_comm *comm, esp_model *model, bool *trains) {
  *self = (train_parts){.model = model,
                        .rank = comm->rank,
                        .size = comm->size,
                        .n_groups = model->n_stages + 2,
                        .trains = trains,
                        .is_masked = ESP_NEW(bool, model->n_weights),
                        .offset = ESP_NEW(int64_t, model->n_weights)};
  self->groups = ESP_NEW(parts_group, self->n_groups);
  lay_out_groups(self);
  int64_t most = 0;
  for (int g = 0; g < self->n_groups; g++)
    most += (self->groups[g].n + PARTS_PIECE - 1) / PARTS_PIECE;
  self->pieces = ESP_NEW(parts_piece, most);
  for (int g = 0; g < self->n_groups; g++) cut_group(self, comm, g);
  list_runs(self);
}

void parts_clear(train_parts *self) {
  for (int p = 0; p < self->n_pieces; p++) esp_free(&self->pieces[p].begins);
  esp_free(&self->pieces);
  esp_free(&self->runs);
  esp_free(&self->groups);
  esp_free(&self->offset);
  esp_free(&self->is_masked);
  esp_free(&self->trains);
}

bool parts_find_segment(const train_parts *self, const parts_piece *piece, int weight, int64_t from,
                        int64_t to, parts_segment *segment) {
  const esp_weight *of = &self->model->weights[weight];
  if (!self->trains[weight] || of->stage + 1 != piece->group) return false;
  const int64_t first = self->offset[weight] - piece->begin; // the weight's, in the piece
  const int64_t begin = larger(from, first), end = smaller(to, first + esp_weight_count(of));
  *segment = (parts_segment){weight, begin - first, end - begin, begin};
  return begin < end;
}

/* Copy [from, to) of a piece between the weights' values and values (that range). */
static void copy_range(const train_parts *self, const parts_piece *piece, int64_t from, int64_t to,
                       bool is_in, float *values) {
  parts_segment segment;
  for (int w = 0; w < self->model->n_weights; w++) {
    if (!parts_find_segment(self, piece, w, from, to, &segment)) continue;
    float *weight = self->model->weights[w].value + segment.at,
          *value = values + segment.place - from;
    memcpy(is_in ? weight : value, is_in ? value : weight, (size_t)segment.n * sizeof *value);
  }
}

void parts_copy_own_local(const train_parts *self, float *own) {
  for (int r = 0; r < self->n_runs; r++) {
    const parts_run *run = &self->runs[r];
    memcpy(own + run->own, parts_find_values(self, run), (size_t)run->n * sizeof *own);
  }
}

/* Where a piece lies in one weight, its values there; else NULL. */
static float *find_whole(const train_parts *self, const parts_piece *piece) {
  parts_segment segment;
  for (int w = 0; w < self->model->n_weights; w++)
    if (parts_find_segment(self, piece, w, 0, piece->n, &segment))
      return segment.n == piece->n ? self->model->weights[w].value + segment.at : NULL;
  return NULL;
}

/* Gathered where they belong, or in values, from which those of the other ranks are copied. */
static void gather_piece(const esp_comm *comm, const train_parts *self, const parts_piece *piece,
                         const float *own, float *values) {
  const int64_t begin = parts_own_begin(self, piece), end = parts_own_end(self, piece);
  float *whole = find_whole(self, piece), *place = whole ? whole : values;
  if (own)
    memcpy(place + begin, own + piece->own, (size_t)(end - begin) * sizeof *own);
  else if (!whole)
    copy_range(self, piece, begin, end, false, values + begin);
  esp_allgather_f32(comm, piece->begins, place);
  if (whole) return;
  copy_range(self, piece, 0, own ? end : begin, true, values);
  copy_range(self, piece, end, piece->n, true, values + end);
}

void parts_gather(const esp_comm *comm, const train_parts *self, const float *own) {
  if (comm->size == 1 && !own) return; // the values are what they were
  float *values = ESP_NEW(float, smaller(self->n_values, PARTS_PIECE));
  for (int p = 0; p < self->n_pieces; p++) gather_piece(comm, self, &self->pieces[p], own, values);
  esp_free(&values);
}

int parts_find_lowest_stage(const train_parts *self) {
  int g = 0;
  while (self->groups[g].n == 0) g++;
  return g - 1;
}
