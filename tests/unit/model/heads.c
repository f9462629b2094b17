/* Heads of one linear map: which one a configuration asks for, and which rows it reads. */
#include "unit.h"

#include "heads.h"

#include <string.h>

static const tf_head rows[] = {
    {"ForSequenceClassification", "score", false, 0, ESP_TASK_CLASSIFY, false},
    {"ForTokenClassification", "score", true, 0, ESP_TASK_EMBED, false},
    {"Model", NULL, false, 0, ESP_TASK_EMBED, false},
    {NULL, "lm_head", false, 0, ESP_TASK_LANGUAGE, false},
};

static const tf_head *find(const char *text, bool is_tied) {
  json_t *config = json_loads(text, 0, NULL);
  assert_non_null(config);
  const tf_head *row = tf_head_find(config, rows, is_tied);
  json_decref(config);
  return row;
}

static void tf_head_find_goes_by_the_end_of_the_name(void **state) {
  (void)state;
  static const struct {
    const char *config;
    bool is_tied;
    int row;
  } cases[] = {
      {"{\"architectures\": [\"LlamaForSequenceClassification\"]}", true, 0},
      {"{\"architectures\": [\"MyForTokenClassification\"]}", false, 1},
      {"{\"architectures\": [\"LlamaModel\"]}", false, 2},
      {"{\"architectures\": [\"LlamaModel\"]}", true, 3}, // the embedding is its head
      {"{\"architectures\": [\"GPT2LMHeadModel\"]}", false, 3},
      {"{\"architectures\": [\"GPT2DoubleHeadsModel\"]}", false, 3},
      {"{\"architectures\": [\"LlamaForCausalLM\"]}", false, 3},
      {"{\"architectures\": null}", false, 3},
      {"{\"architectures\": []}", false, 3},
      {"{}", false, 3},
  };
  for (unsigned i = 0; i < ESP_COUNT(cases); i++)
    assert_ptr_equal(find(cases[i].config, cases[i].is_tied), &rows[cases[i].row]);
}

static void tf_count_labels_prefers_names(void **state) {
  (void)state;
  static const struct {
    const char *config;
    int64_t labels;
  } cases[] = {
      {"{\"id2label\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}, \"num_labels\": 5}", 3},
      {"{\"id2label\": null, \"num_labels\": 5}", 5},
      {"{\"num_labels\": 1}", 1},
      {"{\"num_labels\": null}", 2},
      {"{}", 2},
  };
  for (unsigned i = 0; i < ESP_COUNT(cases); i++) {
    int64_t labels = 0;
    json_t *config = json_loads(cases[i].config, 0, NULL);
    assert_int_equal(tf_count_labels(config, &labels), ESP_OK);
    assert_int_equal(labels, cases[i].labels);
    json_decref(config);
  }
}

/* Sequences of 4 tokens: a padding token within, padding at the end, nothing but padding, one cut
 * to its length. */
enum { COUNT = 4, LENGTH = 4 };
static const int32_t tokens[COUNT * LENGTH] = {5, 0, 6, 7, 5, 6, 0, 0, 0, 0, 0, 0, 5, 6, 7, 8};
static const int32_t lengths[COUNT] = {4, 4, 4, 2};

static void assert_gathered(int64_t padding, esp_task task, const float *expected, int64_t n) {
  esp_model model = {.task = task};
  esp_workspace workspace = {0};
  const esp_call call = {.model = &model,
                         .batch = {.kind = ESP_DATA_TOKENS,
                                   .count = COUNT,
                                   .width = LENGTH,
                                   .tokens = tokens,
                                   .lengths = lengths},
                         .workspace = &workspace};
  const tf_decoder_head head = {.padding = padding};
  const esp_workspace_mark mark = esp_workspace_set_mark(&workspace);
  float x[COUNT * LENGTH], back[COUNT * LENGTH];
  for (int i = 0; i < COUNT * LENGTH; i++) x[i] = (float)i;
  assert_int_equal(tf_head_count_rows(&call), n);
  const float *found = tf_head_gather(&head, &call, 1, x);
  assert_memory_equal(found, expected, (size_t)n * sizeof *found);
  tf_head_scatter(&head, &call, 1, found, back);
  for (int i = 0; i < COUNT * LENGTH; i++) {
    bool is_read = false;
    for (int64_t j = 0; j < n; j++) is_read = is_read || (int)expected[j] == i;
    assert_true(back[i] == (is_read ? (float)i : 0.0f));
  }
  esp_workspace_release(&workspace, mark);
  esp_workspace_clear(&workspace);
}

static void a_classifier_reads_the_last_token_that_is_no_padding(void **state) {
  (void)state;
  const float with[COUNT] = {3, 5, 8, 13}, without[COUNT] = {3, 7, 11, 13};
  assert_gathered(0, ESP_TASK_CLASSIFY, with, COUNT);
  assert_gathered(-1, ESP_TASK_CLASSIFY, without, COUNT);
}

static void other_heads_read_all_rows(void **state) {
  (void)state;
  float all[COUNT * LENGTH];
  for (int i = 0; i < COUNT * LENGTH; i++) all[i] = (float)i;
  assert_gathered(0, ESP_TASK_LANGUAGE, all, COUNT * LENGTH);
  assert_gathered(0, ESP_TASK_EMBED, all, COUNT * LENGTH);
}

/* Logits that are asked for are columns of all, with and without a bias. */
static void tf_head_map_gives_the_logits_that_are_asked_for(void **state) {
  enum { ROWS = 3, OUTPUTS = 5, INPUTS = 4 };
  static const int64_t units[] = {1, 4};
  const esp_logit_list only = {units, 2};
  float map[OUTPUTS * INPUTS], bias[OUTPUTS], x[ROWS * INPUTS], all[ROWS * OUTPUTS], some[ROWS * 2];
  (void)state;
  for (int i = 0; i < OUTPUTS * INPUTS; i++) map[i] = (float)(i % 7 - 3);
  for (int i = 0; i < OUTPUTS; i++) bias[i] = (float)i / 2.0f;
  for (int i = 0; i < ROWS * INPUTS; i++) x[i] = (float)(i % 5 - 2);
  esp_weight weights[2] = {{.value = map}, {.value = bias}};
  const esp_model model = {.weights = weights};
  esp_workspace workspace = {0};
  esp_call call = {.model = &model, .workspace = &workspace};
  for (int has_bias = 0; has_bias < 2; has_bias++) {
    const esp_linear linear = {.outputs = OUTPUTS, .inputs = INPUTS, .bias = has_bias ? 1 : -1};
    const esp_workspace_mark mark = esp_workspace_set_mark(&workspace);
    call.only = NULL;
    tf_head_map(&call, &linear, ROWS, x, all);
    call.only = &only;
    tf_head_map(&call, &linear, ROWS, x, some);
    for (int i = 0; i < ROWS * 2; i++)
      assert_true(some[i] == all[i / 2 * OUTPUTS + units[i % 2]]); // small integers: exact
    esp_workspace_release(&workspace, mark);
  }
  esp_workspace_clear(&workspace);
}

ESP_TEST_MAIN(cmocka_unit_test(tf_head_find_goes_by_the_end_of_the_name),
              cmocka_unit_test(tf_count_labels_prefers_names),
              cmocka_unit_test(a_classifier_reads_the_last_token_that_is_no_padding),
              cmocka_unit_test(other_heads_read_all_rows),
              cmocka_unit_test(tf_head_map_gives_the_logits_that_are_asked_for))
