#include "mpi.h"

#include "espalier/eval/eval.h"
#include "espalier/io/file.h"
#include "mlp.h"
#include "small.h"

static bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

/* Logits are the two standardised pixels, 2 p - 0.5, cut at 0. */
static esp_model *new_identity(void) {
  static const int64_t sizes[3] = {2, 2, 2};
  static const float identity[4] = {1, 0, 0, 1};
  esp_model *model = mlp_new("relu", sizes, 3, 1);
  for (int w = 0; w < 4; w++)
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++)
      model->weights[w].value[i] = w % 2 ? 0.0f : identity[i];
  return model;
}

/* Logits (1.5, 0), (0, 1.5), (1.5, 1.5): the last is a tie, which the lowest class wins. */
static void esp_eval_quality_is_right_by_hand(void **state) {
  (void)state;
  static const uint8_t pixels[6] = {255, 0, 0, 255, 255, 255};
  static const int32_t labels[3] = {0, 0, 1};
  esp_model *model = new_identity();
  esp_dataset *data = mlp_data(3, 2, 2); // one micro-batch: fewer than ranks
  esp_quality quality = {0};
  memcpy(data->pixels, pixels, sizeof pixels);
  memcpy(data->labels, labels, sizeof labels);
  ASSERT_ALL(esp_eval_quality(&test_comm, model, data, NULL, &quality) == ESP_OK);
  ASSERT_ALL(quality.samples == 3 && quality.correct == 1);
  const double expected = (log1p(exp(-1.5)) + log1p(exp(1.5)) + log(2.0)) / 3.0;
  ASSERT_ALL(fabs(quality.loss_nats - expected) < 1e-6);
  esp_dataset_close(&data);
  esp_model_free(&model);
}

static const int64_t sizes[4] = {6, 9, 5, 3};

static void esp_eval_quality_is_that_of_one_rank(void **state) {
  (void)state;
  static const int64_t counts[4] = {1, 256, 257, 1900};
  esp_comm self;
  esp_comm_init_local(&self);
  esp_model *model = mlp_new("gelu", sizes, 4, 3);
  for (unsigned i = 0; i < ESP_COUNT(counts); i++) {
    esp_dataset *data = mlp_data(counts[i], 6, 3);
    esp_quality all = {0}, one = {0};
    ASSERT_ALL(esp_eval_quality(&test_comm, model, data, NULL, &all) == ESP_OK);
    ASSERT_ALL(esp_eval_quality(&self, model, data, NULL, &one) == ESP_OK);
    ASSERT_ALL(all.samples == counts[i] && all.samples == one.samples &&
               all.correct == one.correct && all.loss_nats == one.loss_nats);
    esp_dataset_close(&data);
  }
  esp_model_free(&model);
  esp_comm_clear(&self);
}

static void esp_eval_quality_matches_the_naive_net(void **state) {
  (void)state;
  esp_model *model = mlp_new("tanh", sizes, 4, 3);
  naive_net net = naive_new(model, sizes, 4, tanh);
  esp_dataset *data = mlp_data(601, 6, 3);
  esp_quality quality = {0};
  double loss = 0.0;
  for (int64_t s = 0; s < data->count; s++) {
    float pixels[6];
    double z[3];
    for (int p = 0; p < 6; p++) pixels[p] = (float)data->pixels[6 * s + p] / 255.0f;
    naive_forward(&net, pixels, z);
    loss += log(exp(z[0]) + exp(z[1]) + exp(z[2])) - z[data->labels[s]];
  }
  ASSERT_ALL(esp_eval_quality(&test_comm, model, data, NULL, &quality) == ESP_OK);
  ASSERT_ALL(fabs(quality.loss_nats - loss / 601.0) < 1e-5);
  esp_free(&net.parameters);
  esp_dataset_close(&data);
  esp_model_free(&model);
}

static void check_refused(int64_t width, int32_t classes, esp_data_kind kind, const char *part) {
  esp_model *model = mlp_new("gelu", sizes, 4, 3);
  for (int bad = 0; bad < test_comm.size; bad++) {
    esp_dataset *data = mlp_data(4, 6, 3);
    esp_quality quality;
    if (test_comm.rank == bad) data->width = width, data->classes = classes, data->kind = kind;
    ASSERT_ALL(
        failed(esp_eval_quality(&test_comm, model, data, NULL, &quality), ESP_MISMATCH, part));
    esp_dataset_close(&data);
  }
  esp_model_free(&model);
}

static void esp_eval_quality_refuses_data_that_does_not_fit_on_one_rank(void **state) {
  (void)state;
  check_refused(5, 3, ESP_DATA_IMAGES, "found 5");
  check_refused(6, 4, ESP_DATA_IMAGES, "labels from 0 to 2, found 4 classes");
  check_refused(6, 0, ESP_DATA_IMAGES, "found 0 classes");
  check_refused(6, 3, ESP_DATA_TOKENS, "family 'mlp'");
}

/* Only the last sample overflows, so only the last rank with data sees it. */
static void esp_eval_quality_refuses_logits_that_are_not_finite(void **state) {
  (void)state;
  esp_model *model = new_identity();
  esp_dataset *data = mlp_data(1025, 2, 2);
  esp_quality quality;
  memset(data->pixels, 0, 2 * 1025);
  data->pixels[2 * 1024] = 255;
  model->weights[2].value[0] = 3e38f;
  ASSERT_ALL(failed(esp_eval_quality(&test_comm, model, data, NULL, &quality), ESP_NUMERIC,
                    "expected finite logits"));
  data->pixels[2 * 1024] = 0;
  ASSERT_ALL(esp_eval_quality(&test_comm, model, data, NULL, &quality) == ESP_OK);
  esp_dataset_close(&data);
  esp_model_free(&model);
}

/* Stored as bf16, so that loading makes values that unloading takes away. */
static esp_model *open_small(const char *path) {
  esp_model *made = small_model_new("gelu", sizes, 4, 3), *model = NULL;
  for (int w = 0; w < made->n_weights; w++) made->weights[w].type = ESP_BF16;
  ESP_ASSERT(small_model_save(&test_comm, made, path) == ESP_OK);
  ESP_ASSERT(esp_model_open(&test_comm, path, &model) == ESP_OK);
  esp_model_free(&made);
  return model;
}

static bool holds_weights(const esp_model *model) {
  for (int w = 0; w < model->n_weights; w++)
    if (model->weights[w].value) return true;
  return false;
}

/* 256 rows of 9 floats are a micro-batch; 1900 samples are 8 of them. */
static void esp_eval_quality_is_the_same_for_any_chunk_and_leaves_no_weights(void **state) {
  (void)state;
  static const int64_t bytes[] = {1, 2 * 256 * 9 * 4, 3 * 256 * 9 * 4 + 1, 1 << 20, 0};
  esp_model *model = open_small(test_path("stream.h5"));
  esp_dataset *data = mlp_data(1900, 6, 3);
  esp_quality first = {0}, quality = {0};
  ASSERT_ALL(esp_eval_quality(&test_comm, model, data, NULL, &first) == ESP_OK);
  for (unsigned i = 0; i < ESP_COUNT(bytes); i++) {
    const esp_eval_options options = {.state_bytes = bytes[i]};
    ASSERT_ALL(esp_eval_quality(&test_comm, model, data, &options, &quality) == ESP_OK);
    ASSERT_ALL(quality.correct == first.correct && quality.loss_nats == first.loss_nats);
    ASSERT_ALL(!holds_weights(model));
  }
  esp_dataset_close(&data);
  esp_model_free(&model);
}

/* A weight is only seen to be NaN when its stage is loaded. */
static void esp_eval_quality_refuses_a_stored_nan(void **state) {
  (void)state;
  esp_model *made = small_model_new("gelu", sizes, 4, 3), *model = NULL;
  esp_dataset *data = mlp_data(300, 6, 3);
  esp_quality quality;
  ASSERT_ALL(small_model_save(&test_comm, made, test_path("nan.h5")) == ESP_OK);
  ASSERT_ALL(esp_model_open(&test_comm, test_path("nan.h5"), &model) == ESP_OK);
  float *broken = ESP_NEW(float, esp_weight_count(&model->weights[2]));
  broken[4] = NAN;
  model->weights[2].stored = broken;
  ASSERT_ALL(failed(esp_eval_quality(&test_comm, model, data, NULL, &quality), ESP_NUMERIC,
                    model->weights[2].name));
  esp_dataset_close(&data);
  esp_model_free(&model);
  esp_free(&broken);
  esp_model_free(&made);
}

static void write_logits(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                         int64_t state_bytes, const char *path) {
  const esp_eval_options options = {.state_bytes = state_bytes};
  ESP_ASSERT(esp_eval_write_logits(comm, model, data, 700, &options, path) == ESP_OK);
}

static void esp_eval_write_logits_writes_the_same_bytes_for_any_chunk(void **state) {
  (void)state;
  esp_model *model = open_small(test_path("logits-model.h5"));
  esp_dataset *data = mlp_data(1900, 6, 3);
  char *bytes[2] = {NULL, NULL};
  int64_t count[2] = {0, 0};
  write_logits(&test_comm, model, data, 0, test_path("logits.h5"));
  ASSERT_ALL(esp_file_read_local(test_path("logits.h5"), &bytes[0], &count[0]) == ESP_OK);
  write_logits(&test_comm, model, data, 1, test_path("logits1.h5"));
  ASSERT_ALL(esp_file_read_local(test_path("logits1.h5"), &bytes[1], &count[1]) == ESP_OK);
  ASSERT_ALL(count[0] == count[1] && memcmp(bytes[0], bytes[1], (size_t)count[0]) == 0);
  ASSERT_ALL(!holds_weights(model));
  for (int i = 0; i < 2; i++) esp_free(&bytes[i]);
  esp_dataset_close(&data);
  esp_model_free(&model);
}

static void esp_eval_speed_is_positive_and_equal_on_all_ranks(void **state) {
  (void)state;
  static const int64_t wide[3] = {6, 2000, 3};
  esp_model *models[2] = {mlp_new("relu", sizes, 4, 1), mlp_new("relu", wide, 3, 1)};
  esp_dataset *data = mlp_data(70, 6, 3);
  const esp_speed_options options = {.batch = 64, .repeats = 3};
  double speed[2] = {0.0, 0.0}, root[2];
  esp_eval_speed(&test_comm, models, 2, data, &options, speed);
  memcpy(root, speed, sizeof root);
  esp_bcast(&test_comm, root, sizeof root, 0);
  ASSERT_ALL(memcmp(root, speed, sizeof root) == 0);
  ASSERT_ALL(speed[0] > speed[1] && speed[1] > 0.0 && isfinite(speed[0])); // 100 times the work
  esp_dataset_close(&data);
  for (int i = 0; i < 2; i++) esp_model_free(&models[i]);
}

static void esp_eval_speed_takes_a_batch_larger_than_the_data(void **state) {
  (void)state;
  esp_model *model = mlp_new("relu", sizes, 4, 1);
  esp_dataset *data = mlp_data(3, 6, 3);
  const esp_speed_options options = {.batch = 256, .repeats = 2};
  double speed = 0.0;
  esp_eval_speed(&test_comm, &model, 1, data, &options, &speed);
  ASSERT_ALL(speed > 0.0 && isfinite(speed));
  esp_dataset_close(&data);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_eval_quality_is_right_by_hand),
              cmocka_unit_test(esp_eval_quality_is_that_of_one_rank),
              cmocka_unit_test(esp_eval_quality_matches_the_naive_net),
              cmocka_unit_test(esp_eval_quality_refuses_data_that_does_not_fit_on_one_rank),
              cmocka_unit_test(esp_eval_quality_refuses_logits_that_are_not_finite),
              cmocka_unit_test(esp_eval_quality_is_the_same_for_any_chunk_and_leaves_no_weights),
              cmocka_unit_test(esp_eval_quality_refuses_a_stored_nan),
              cmocka_unit_test(esp_eval_write_logits_writes_the_same_bytes_for_any_chunk),
              cmocka_unit_test(esp_eval_speed_is_positive_and_equal_on_all_ranks),
              cmocka_unit_test(esp_eval_speed_takes_a_batch_larger_than_the_data))
