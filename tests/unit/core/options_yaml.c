#include "unit.h"

#include "espalier/core/options.h"

#include <string.h>

typedef struct settings {
  bool force;
  int64_t seed;
  double sparsity;
  char *output, *criterion;
} settings;

#define AT(member) .offset = offsetof(settings, member)

static const esp_option rows[] = {
    {"run.force", ESP_OPTION_FLAG, AT(force), .commands = 1},
    {"run.seed", ESP_OPTION_INT, AT(seed), .initial = "42", .commands = 1},
    {"prune.sparsity", ESP_OPTION_REAL, AT(sparsity), .low = 0, .high = 1, .commands = 2},
    {"run.output-file", ESP_OPTION_TEXT, AT(output), .commands = 1},
    {"prune.criterion", ESP_OPTION_TEXT, AT(criterion), .initial = "mi", .choices = "mi|random",
     .commands = 2},
};
static const esp_option_table table = {rows, (int)ESP_COUNT(rows), NULL};

static int set_up(void **state) {
  *state = ESP_NEW(settings, 1);
  esp_options_init(&table, *state);
  return 0;
}

static int tear_down(void **state) {
  settings *s = *state;
  esp_options_clear(&table, s);
  esp_free(&s);
  return 0;
}

static esp_status read_yaml(settings *s, const char *text) {
  return esp_options_read_yaml(&table, s, text, "run.yaml");
}

static void read_yaml_takes_sections(void **state) {
  settings *s = *state;
  assert_int_equal(read_yaml(s, "# a comment\n"
                                "run:\n  force: true\n  seed: 1e3\n  output_file: \"a b.h5\"\n"
                                "prune: {sparsity: 0.5, criterion: random}\n"),
                   ESP_OK);
  assert_true(s->force && s->seed == 1000 && s->sparsity == 0.5);
  assert_string_equal(s->output, "a b.h5");
  assert_string_equal(s->criterion, "random");
}

static void read_yaml_takes_whole_keys_beside_sections(void **state) {
  settings *s = *state;
  assert_int_equal(read_yaml(s, "---\nrun.seed: 7\nrun: {force: on}\nprune.sparsity: .25\n"),
                   ESP_OK);
  assert_true(s->force && s->seed == 7 && s->sparsity == 0.25);
}

static void read_yaml_takes_empty_files_and_sections(void **state) {
  settings *s = *state;
  static const char *const texts[] = {"",   "\n",     "# nothing\n", "---\n",
                                      "{}", "run:\n", "run: {}",     "run: ~\nprune:\n"};
  for (size_t i = 0; i < ESP_COUNT(texts); i++) assert_int_equal(read_yaml(s, texts[i]), ESP_OK);
  assert_int_equal(s->seed, 42);
  assert_string_equal(s->criterion, "mi");
}

static void read_yaml_takes_null_texts_for_not_given(void **state) {
  settings *s = *state;
  assert_int_equal(read_yaml(s, "run: {output-file: a}"), ESP_OK);
  assert_int_equal(read_yaml(s, "run: {output-file: null}"), ESP_OK);
  assert_null(s->output);
  assert_int_equal(read_yaml(s, "run: {output-file: \"null\"}"), ESP_OK);
  assert_string_equal(s->output, "null");
  assert_failure(read_yaml(s, "run: {seed: null}"), ESP_USAGE, "run.seed: expected a whole number");
}

/* The lines of a file count from 1, and those above the fault are counted. */
static void read_yaml_names_file_and_line_of_bad_values(void **state) {
  assert_failure(read_yaml(*state, "run:\n  force: true\n  seed: 1.5\n"), ESP_USAGE,
                 "run.yaml:3: run.seed: expected a whole number");
  assert_failure(read_yaml(*state, "prune:\n  sparsity: 1.5\n"), ESP_USAGE,
                 "run.yaml:2: prune.sparsity: expected a finite number from 0 to 1, found '1.5'");
  assert_failure(read_yaml(*state, "\nprune: {criterion: randm}\n"), ESP_USAGE,
                 "run.yaml:2: unknown value of prune.criterion 'randm'; did you mean random?");
  assert_failure(read_yaml(*state, "run: {output-file: \"a\\0b\"}"), ESP_FORMAT, "zero byte");
}

static void read_yaml_names_near_keys_and_sections(void **state) {
  assert_failure(read_yaml(*state, "prune:\n  sparsty: 0.5\n"), ESP_USAGE,
                 "run.yaml:2: unknown key 'prune.sparsty'; did you mean prune.sparsity?");
  assert_failure(read_yaml(*state, "prun:\n  sparsity: 0.5\n"), ESP_USAGE,
                 "run.yaml:1: unknown section 'prun'; did you mean prune, run? Known: run, prune");
  assert_failure(read_yaml(*state, "sparsty: 0.5\n"), ESP_USAGE, "did you mean sparsity?");
}

static void read_yaml_says_where_a_bare_key_belongs(void **state) {
  assert_failure(read_yaml(*state, "sparsity: 0.5\n"), ESP_USAGE,
                 "run.yaml:1: key 'sparsity' stands outside its section; write prune.sparsity");
  assert_failure(read_yaml(*state, "run: {sparsity: 0.5}\n"), ESP_USAGE,
                 "unknown key 'run.sparsity'");
}

static void read_yaml_refuses_duplicates(void **state) {
  assert_failure(read_yaml(*state, "run:\n  seed: 1\n  seed: 2\n"), ESP_FORMAT,
                 "run.yaml:3: 'run.seed' is given twice, first on line 2");
  assert_failure(read_yaml(*state, "run:\n  seed: 1\nrun.seed: 2\n"), ESP_FORMAT,
                 "run.yaml:3: 'run.seed' is given twice, first on line 2");
  assert_failure(read_yaml(*state, "run: {seed: 1}\n\nrun: {force: true}\n"), ESP_FORMAT,
                 "run.yaml:3: 'run' is given twice, first on line 1");
}

static void read_yaml_refuses_wrong_nesting(void **state) {
  assert_failure(read_yaml(*state, "- a\n"), ESP_FORMAT, "run.yaml:1: file: expected a mapping");
  assert_failure(read_yaml(*state, "5\n"), ESP_FORMAT, "found a value");
  assert_failure(read_yaml(*state, "run: 5\n"), ESP_FORMAT,
                 "run.yaml:1: run: expected a mapping of options, found a value");
  assert_failure(read_yaml(*state, "run:\n  seed: [1, 2]\n"), ESP_FORMAT,
                 "run.yaml:2: run.seed: expected a single value, found a list");
  assert_failure(read_yaml(*state, "run:\n  seed: {a: 1}\n"), ESP_FORMAT, "found a mapping");
  assert_failure(read_yaml(*state, "run: {? [a] : 1}\n"), ESP_FORMAT,
                 "key: expected a name, found a list");
}

static void read_yaml_refuses_anchors_aliases_and_tags(void **state) {
  assert_failure(read_yaml(*state, "run: &a {seed: 1}\n"), ESP_FORMAT, "the anchor 'a'");
  assert_failure(read_yaml(*state, "run: {seed: &b 1}\n"), ESP_FORMAT, "the anchor 'b'");
  assert_failure(read_yaml(*state, "run: {seed: *b}\n"), ESP_FORMAT, "found an alias");
  assert_failure(read_yaml(*state, "run: {seed: !x 1}\n"), ESP_FORMAT, "the tag '!x'");
}

static void read_yaml_refuses_bad_yaml(void **state) {
  assert_failure(read_yaml(*state, "run:\n  seed: 1\n force: [\n"), ESP_FORMAT,
                 "run.yaml:3: not valid YAML: ");
  assert_failure(read_yaml(*state, "run: {seed: 1\n"), ESP_FORMAT, "not valid YAML");
  assert_failure(read_yaml(*state, "run:\n\tseed: 1\n"), ESP_FORMAT, "run.yaml:2: not valid YAML");
  assert_failure(read_yaml(*state, "run:\n  output-file: caf\xe9\n"), ESP_FORMAT,
                 "run.yaml:2: not valid YAML");
  assert_null(strchr(esp_failure_text(), '\n'));
}

static void read_yaml_refuses_a_second_document(void **state) {
  assert_failure(read_yaml(*state, "run: {seed: 1}\n---\nrun: {seed: 2}\n"), ESP_FORMAT,
                 "run.yaml:2: expected one YAML document, found a second");
}

/* No depth of nesting costs stack. */
static void read_yaml_refuses_deep_nesting_at_once(void **state) {
  char *text = ESP_NEW(char, 100001);
  memset(text, '[', 100000);
  assert_failure(read_yaml(*state, text), ESP_FORMAT, "run.yaml:1: file: expected a mapping");
  esp_free(&text);
}

static void read_yaml_lets_a_later_file_win(void **state) {
  settings *s = *state;
  assert_int_equal(read_yaml(s, "run: {output-file: a, seed: 1}"), ESP_OK);
  assert_int_equal(read_yaml(s, "run: {output-file: b}"), ESP_OK);
  assert_string_equal(s->output, "b");
  assert_int_equal(s->seed, 1);
}

/* JSON is YAML: what a report holds configures the same run. */
static void read_yaml_takes_a_dump(void **state) {
  settings *s = *state;
  assert_int_equal(read_yaml(s, "run: {seed: 9007199254740993}\nprune: {sparsity: 0.1}"), ESP_OK);
  json_t *const dump = esp_options_dump(&table, s, ~0u);
  char *const text = json_dumps(dump, JSON_INDENT(2));
  esp_options_clear(&table, s);
  esp_options_init(&table, s);
  assert_int_equal(read_yaml(s, text), ESP_OK);
  assert_true(s->seed == INT64_C(9007199254740993) && s->sparsity == 0.1);
  assert_null(s->output);
  free(text);
  json_decref(dump);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

ESP_TEST_MAIN(CASE(read_yaml_takes_sections), CASE(read_yaml_takes_whole_keys_beside_sections),
              CASE(read_yaml_takes_empty_files_and_sections),
              CASE(read_yaml_takes_null_texts_for_not_given),
              CASE(read_yaml_names_file_and_line_of_bad_values),
              CASE(read_yaml_names_near_keys_and_sections),
              CASE(read_yaml_says_where_a_bare_key_belongs), CASE(read_yaml_refuses_duplicates),
              CASE(read_yaml_refuses_wrong_nesting),
              CASE(read_yaml_refuses_anchors_aliases_and_tags), CASE(read_yaml_refuses_bad_yaml),
              CASE(read_yaml_refuses_a_second_document),
              CASE(read_yaml_refuses_deep_nesting_at_once), CASE(read_yaml_lets_a_later_file_win),
              CASE(read_yaml_takes_a_dump))
