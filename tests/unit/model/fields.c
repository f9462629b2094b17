/* The table of config.json's fields: what it says is what families do, and what the documentation
 * says. */
#include "unit.h"

#include "fields.h"

#include <stdio.h>
#include <string.h>

/* A small model of each family, with a classifier. */
static const char *const small[] = {
    "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForSequenceClassification\"]}",
    "{\"model_type\": \"mistral\", \"architectures\": [\"MistralForSequenceClassification\"]}",
    "{\"model_type\": \"qwen2\", \"architectures\": [\"Qwen2ForSequenceClassification\"]}",
    "{\"model_type\": \"qwen3\", \"architectures\": [\"Qwen3ForSequenceClassification\"]}",
    "{\"model_type\": \"gpt2\", \"architectures\": [\"GPT2ForSequenceClassification\"]}",
    "{\"model_type\": \"bert\", \"architectures\": [\"BertForSequenceClassification\"]}",
};

/* What else has to be there for a field to be read. */
static const char *const needed[][2] = {
    {"max_window_layers", "{\"use_sliding_window\": true}"},
    {"sliding_window", "{\"use_sliding_window\": true}"},
    {"original_max_position_embeddings", "{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2}}"},
    {"add_pooling_layer", "{\"architectures\": [\"BertModel\"]}"},
    {"tie_word_embeddings", "{\"architectures\": [\"BertForMaskedLM\"]}"},
    {"decoder_bias", "{\"architectures\": [\"BertForMaskedLM\"]}"},
};

/* Read without a refusal: they say what the model is, are lists themselves, or are read when a
 * checkpoint is opened or made. */
static const char *const lenient[] = {"model_type", "architectures", "id2label",
                                      "initializer_range"};

static bool is_lenient(const char *name, const char *family) {
  static const char *const aliases[] = {"hidden_size", "num_hidden_layers", "num_attention_heads",
                                        "max_position_embeddings"};
  for (unsigned i = 0; i < ESP_COUNT(lenient); i++)
    if (strcmp(lenient[i], name) == 0) return true;
  for (unsigned i = 0; i < ESP_COUNT(aliases) && strcmp(family, "gpt2") == 0; i++)
    if (strcmp(aliases[i], name) == 0) return true;
  return false;
}

/* The small model with a field set to a value of JSON. */
static json_t *make_config(int family, const char *name, const char *value) {
  json_t *config = json_loads(small[family], 0, NULL);
  for (unsigned i = 0; i < ESP_COUNT(needed); i++) {
    if (strcmp(needed[i][0], name) != 0) continue;
    json_t *more = json_loads(needed[i][1], 0, NULL);
    json_object_update(config, more);
    json_decref(more);
  }
  json_object_set_new(config, name, json_loads(value, JSON_DECODE_ANY, NULL));
  return config;
}

static void assert_refused(int family, const char *name) {
  esp_model *model = NULL;
  json_t *config = make_config(family, name, "[]");
  const esp_status status = esp_model_new(config, &model);
  if (status != ESP_FORMAT || !strstr(esp_failure_text(), name))
    fail_msg("%s %s is not refused by name: %s", config_field_families[family], name,
             status == ESP_OK ? "opened" : esp_failure_text());
  json_decref(config);
}

static void assert_taken(int family, const char *name, const char *value) {
  esp_model *model = NULL;
  json_t *config = make_config(family, name, value);
  if (esp_model_new(config, &model) != ESP_OK)
    fail_msg("%s %s: %s", config_field_families[family], name, esp_failure_text());
  esp_model_free(&model);
  json_decref(config);
}

/* Calls check with each field of each family that is used so. */
static void for_each(config_field_use use, void (*check)(int family, const config_field *field)) {
  int n = 0;
  for (const config_field *field = config_fields; field->name; field++)
    for (int family = 0; config_field_families[family]; family++)
      if (field->use == use && field->families >> family & 1) check(family, field), n++;
  assert_true(n > 20);
}

static void check_read(int family, const config_field *field) {
  if (!is_lenient(field->name, config_field_families[family])) assert_refused(family, field->name);
}

static void a_field_that_is_read_has_a_type(void **state) {
  (void)state;
  for_each(CONFIG_FIELD_READ, check_read);
}

static void check_irrelevant(int family, const config_field *field) {
  assert_taken(family, field->name, "[]");
  assert_taken(family, field->name, "null");
}

static void an_irrelevant_field_may_say_anything(void **state) {
  (void)state;
  for_each(CONFIG_FIELD_IRRELEVANT, check_irrelevant);
}

static void check_refused(int family, const config_field *field) {
  assert_refused(family, field->name);
  assert_taken(family, field->name, field->neutral);
  assert_taken(family, field->name, "null");
}

static void a_refused_field_may_have_its_neutral_value(void **state) {
  (void)state;
  for_each(CONFIG_FIELD_REFUSED, check_refused);
}

static void no_field_stands_twice_for_a_family(void **state) {
  (void)state;
  for (const config_field *a = config_fields; a->name; a++)
    for (const config_field *b = a + 1; b->name; b++)
      if (strcmp(a->name, b->name) == 0) assert_int_equal(a->families & b->families, 0);
}

/* "| `name` | families | use |" */
static char *format_row(const config_field *field) {
  char families[64] = "";
  for (int i = 0; config_field_families[i]; i++)
    if (field->families >> i & 1) {
      if (*families) strcat(families, ", ");
      strcat(families, config_field_families[i]);
    }
  const bool is_all = field->families == (1u << ESP_COUNT(small)) - 1;
  char *use = field->use == CONFIG_FIELD_REFUSED
                  ? esp_format("refused unless `%s`", field->neutral)
                  : esp_strdup(field->use == CONFIG_FIELD_READ ? "read" : "irrelevant");
  char *row = esp_format("| `%s` | %s | %s |", field->name, is_all ? "all" : families, use);
  esp_free(&use);
  return row;
}

static void the_documentation_has_the_same_table(void **state) {
  (void)state;
  char line[512];
  const config_field *field = config_fields;
  FILE *page = fopen(ESPALIER_DOCS "/checkpoint_fields.md", "r");
  assert_non_null(page);
  while (fgets(line, sizeof line, page)) {
    if (strncmp(line, "| `", 3) != 0) continue;
    if (!field->name) fail_msg("no such field in fields.c: %s", line);
    char *row = format_row(field++);
    if (strncmp(line, row, strlen(row)) != 0) fail_msg("fields.c has %s, the page %s", row, line);
    esp_free(&row);
  }
  fclose(page);
  assert_null(field->name);
}

ESP_TEST_MAIN(cmocka_unit_test(a_field_that_is_read_has_a_type),
              cmocka_unit_test(an_irrelevant_field_may_say_anything),
              cmocka_unit_test(a_refused_field_may_have_its_neutral_value),
              cmocka_unit_test(no_field_stands_twice_for_a_family),
              cmocka_unit_test(the_documentation_has_the_same_table))
