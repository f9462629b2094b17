/* How the weights that train are dealt to ranks, asked of all ranks of 1 to 5. */
#include "unit.h"

#include "mlp.h"
#include "parts.h"

enum { MOST_RANKS = 5 };

/* A perceptron (its shapes alone), of which every weight trains, or those of some stages. */
static esp_model *new_model(const int64_t *sizes, int n) {
  esp_model *model = NULL;
  json_t *config = mlp_config("relu", sizes, n);
  assert_int_equal(esp_model_new(config, &model), ESP_OK);
  json_decref(config);
  return model;
}

static train_parts new_parts(esp_model *model, int rank, int size, int skipped) {
  const esp_comm comm = esp_comm_pretend(rank, size);
  train_parts self;
  bool *trains = ESP_NEW(bool, model->n_weights);
  for (int w = 0; w < model->n_weights; w++) trains[w] = model->weights[w].stage != skipped;
  parts_init(&self, &comm, model, trains);
  return self;
}

/* Count every value of every weight that a rank has. */
static void mark_own(const train_parts *self, int **marks) {
  parts_segment segment;
  for (int p = 0; p < self->n_pieces; p++) {
    const parts_piece *piece = &self->pieces[p];
    for (int w = 0; w < self->model->n_weights; w++)
      if (parts_find_segment(self, piece, w, parts_own_begin(self, piece),
                             parts_own_end(self, piece), &segment))
        for (int64_t i = 0; i < segment.n; i++) marks[w][segment.at + i]++;
  }
}

static bool all_are(const int *marks, int64_t n, int expected) {
  bool are = true;
  for (int64_t i = 0; i < n; i++) are = are && marks[i] == expected;
  return are;
}

/* Each value of what trains belongs to one rank, the others to none. */
static void check_owners(esp_model *model, int size, int skipped) {
  int **marks = ESP_NEW(int *, model->n_weights);
  int64_t owned = 0, values = 0;
  for (int w = 0; w < model->n_weights; w++)
    marks[w] = ESP_NEW(int, esp_weight_count(&model->weights[w]));
  for (int r = 0; r < size; r++) {
    train_parts parts = new_parts(model, r, size, skipped);
    mark_own(&parts, marks);
    owned += parts.n_own;
    values = parts.n_values;
    parts_clear(&parts);
  }
  for (int w = 0; w < model->n_weights; w++) {
    const bool trains = model->weights[w].stage != skipped;
    assert_true(all_are(marks[w], esp_weight_count(&model->weights[w]), trains));
    esp_free(&marks[w]);
  }
  assert_int_equal(owned, values);
  esp_free(&marks);
}

static const int64_t tiny[] = {3, 2, 4}, uneven[] = {64, 90, 70, 3}, exact[] = {64, 63, 2};
static const struct {
  const int64_t *sizes;
  int n;
} shapes[] = {{tiny, 3}, {uneven, 4}, {exact, 3}};

static void parts_own_every_value_once(void **state) {
  (void)state;
  for (size_t s = 0; s < ESP_COUNT(shapes); s++)
    for (int size = 1; size <= MOST_RANKS; size++)
      for (int skipped = -2; skipped < 2; skipped++) { // -2: none
        esp_model *model = new_model(shapes[s].sizes, shapes[s].n);
        check_owners(model, size, skipped);
        esp_model_free(&model);
      }
}

/* 2048 x 2049 and a bias are 2 blocks more than a piece, and a little. */
static const int64_t large[] = {2049, 2048, 2};

static void parts_cut_large_groups_into_pieces(void **state) {
  (void)state;
  esp_model *model = new_model(large, 3);
  train_parts parts = new_parts(model, 1, 3, -2);
  const int64_t n = 2048 * 2050;
  const parts_group *group = &parts.groups[0]; // the first map is the embedding's
  assert_int_equal(group->n, n);
  assert_int_equal(group->n_pieces, 2);
  assert_int_equal(parts.pieces[group->first_piece].n, PARTS_PIECE);
  assert_int_equal(parts.pieces[group->first_piece + 1].begin, PARTS_PIECE);
  assert_int_equal(parts.pieces[group->first_piece + 1].n, n - PARTS_PIECE);
  parts_clear(&parts);
  check_owners(model, 3, -2);
  esp_model_free(&model);
}

/* Ranges of ranks end with blocks, so that blocks, which are what is rounded, are whole; no rank
 * has more than one block of a piece more than another. */
static void parts_deal_whole_blocks(void **state) {
  (void)state;
  esp_model *model = new_model(uneven, 4);
  for (int size = 1; size <= MOST_RANKS; size++) {
    train_parts parts = new_parts(model, 0, size, -2);
    for (int p = 0; p < parts.n_pieces; p++) {
      const parts_piece *piece = &parts.pieces[p];
      assert_true(piece->begins[0] == 0 && piece->begins[size] == piece->n);
      for (int r = 0; r < size; r++) {
        const int64_t end = piece->begins[r + 1], own = end - piece->begins[r];
        assert_true(end % PARTS_BLOCK == 0 || end == piece->n);
        assert_true(own >= 0 && own <= (piece->n / size / PARTS_BLOCK + 1) * PARTS_BLOCK);
      }
    }
    parts_clear(&parts);
  }
  esp_model_free(&model);
}

/* 64 x 90 + 90 are 2 blocks, 90 x 70 + 70 too, 70 x 3 + 3 are one; at any number of ranks. */
static void parts_count_the_same_blocks_at_any_rank_count(void **state) {
  (void)state;
  esp_model *model = new_model(uneven, 4);
  for (int size = 1; size <= MOST_RANKS; size++)
    for (int r = 0; r < size; r++) {
      train_parts parts = new_parts(model, r, size, -2);
      assert_int_equal(parts.n_blocks, 5);
      assert_int_equal(parts.n_values, 64 * 90 + 90 + 90 * 70 + 70 + 70 * 3 + 3);
      assert_int_equal(parts.n_pieces, 3);
      assert_int_equal(parts.pieces[2].first_block, 4);
      parts_clear(&parts);
    }
  esp_model_free(&model);
}

static void parts_of_what_does_not_train_are_empty(void **state) {
  (void)state;
  esp_model *model = new_model(uneven, 4);
  train_parts parts = new_parts(model, 2, 3, 0);
  assert_int_equal(parts.groups[1].n, 0);
  assert_int_equal(parts.groups[1].n_pieces, 0);
  assert_int_equal(parts.groups[3].n, 0); // a perceptron's head has no weights
  assert_int_equal(parts.n_pieces, 2);
  assert_int_equal(parts_find_lowest_stage(&parts), ESP_STAGE_EMBED);
  parts_clear(&parts);
  parts = new_parts(model, 0, 1, ESP_STAGE_EMBED);
  assert_int_equal(parts_find_lowest_stage(&parts), 0);
  parts_clear(&parts);
  esp_model_free(&model);
}

/* What all ranks copy, one behind the other by their places, are the weights in order. */
static void parts_copy_own_gives_the_weights_values(void **state) {
  (void)state;
  esp_model *model = mlp_new("relu", uneven, 4, 3);
  for (int size = 1; size <= MOST_RANKS; size++) {
    float *all = NULL;
    train_parts parts = {0};
    for (int r = 0; r < size; r++) {
      parts = new_parts(model, r, size, -2);
      float *own = ESP_NEW(float, parts.n_own);
      if (!all) all = ESP_NEW(float, parts.n_values);
      parts_copy_own_local(&parts, own);
      for (int p = 0; p < parts.n_pieces; p++) {
        const parts_piece *piece = &parts.pieces[p];
        for (int64_t i = parts_own_begin(&parts, piece); i < parts_own_end(&parts, piece); i++)
          all[piece->first_value + i] = own[piece->own + i - parts_own_begin(&parts, piece)];
      }
      esp_free(&own);
      parts_clear(&parts);
    }
    const float *at = all;
    for (int w = 0; w < model->n_weights; at += esp_weight_count(&model->weights[w]), w++)
      assert_memory_equal(at, model->weights[w].value,
                          (size_t)esp_weight_count(&model->weights[w]) * sizeof *at);
    esp_free(&all);
  }
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(parts_own_every_value_once),
              cmocka_unit_test(parts_cut_large_groups_into_pieces),
              cmocka_unit_test(parts_deal_whole_blocks),
              cmocka_unit_test(parts_count_the_same_blocks_at_any_rank_count),
              cmocka_unit_test(parts_of_what_does_not_train_are_empty),
              cmocka_unit_test(parts_copy_own_gives_the_weights_values))
