#include "unit.h"

#include "espalier/core/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PRUNE = 1, EVAL = 2, ALL = PRUNE | EVAL, MOST = 16 };

typedef struct settings {
  bool force, repair;
  int64_t seed, bins, limit;
  double sparsity, ridge;
  char *output, *criterion, *context_file;
} settings;

#define AT(member) .offset = offsetof(settings, member)

static const esp_option rows[] = {
    {"run.force", ESP_OPTION_FLAG, AT(force), .commands = ALL, .short_name = 'f', .help = "go on"},
    {"prune.repair", ESP_OPTION_FLAG, AT(repair), .initial = "true", .commands = PRUNE,
     .help = "repair by least squares"},
    {"run.seed", ESP_OPTION_INT, AT(seed), .initial = "42", .low = 0, .high = INFINITY,
     .commands = ALL, .help = "seed"},
    {"prune.bins", ESP_OPTION_INT, AT(bins), .initial = "4", .low = 2, .high = 16,
     .commands = PRUNE, .help = "bins of a unit"},
    {"run.limit", ESP_OPTION_INT, AT(limit), .commands = ALL, .help = "any number"},
    {"prune.sparsity", ESP_OPTION_REAL, AT(sparsity), .initial = "0.5", .low = 0, .high = 1,
     .below_high = true, .commands = PRUNE, .help = "fraction removed"},
    {"prune.ridge", ESP_OPTION_REAL, AT(ridge), .commands = PRUNE, .help = "ridge"},
    {"run.output", ESP_OPTION_TEXT, AT(output), .commands = ALL, .short_name = 'o',
     .value_name = "FILE", .help = "what is written"},
    {"prune.criterion", ESP_OPTION_TEXT, AT(criterion), .initial = "set-mi",
     .choices = "random|magnitude|set-mi", .commands = PRUNE, .help = "score of a unit"},
    {"eval.context-file", ESP_OPTION_TEXT, AT(context_file), .commands = EVAL, .help = "text"},
};
static const esp_option_table table = {rows, (int)ESP_COUNT(rows), NULL};

static const char *positional[MOST];
static esp_arguments arguments = {.positional = positional};

static int set_up(void **state) {
  settings *s = ESP_NEW(settings, 1);
  memset(s, 0xff, sizeof *s); // init must not read what was there
  esp_options_init(&table, s);
  *state = s;
  return 0;
}

static int tear_down(void **state) {
  settings *s = *state;
  esp_options_clear(&table, s);
  esp_free(&s);
  return 0;
}

/* Split the line at spaces and read it as the arguments of a command. */
static esp_status read_line(settings *s, unsigned command, const char *line) {
  char *copy = esp_strdup(line), *argv[MOST], *rest = NULL;
  int argc = 0;
  for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
    argv[argc++] = word;
  arguments = (esp_arguments){command, argc, argv, 0, positional};
  const esp_status status = esp_options_read_arguments(&table, s, &arguments);
  esp_free(&copy);
  return status;
}

static void esp_options_init_sets_defaults(void **state) {
  const settings *s = *state;
  assert_true(!s->force && s->repair);
  assert_true(s->seed == 42 && s->bins == 4 && s->limit == 0);
  assert_true(s->sparsity == 0.5 && s->ridge == 0.0);
  assert_null(s->output);
  assert_string_equal(s->criterion, "set-mi");
}

static void esp_options_clear_sets_texts_null(void **state) {
  settings *s = *state;
  esp_options_clear(&table, s);
  assert_null(s->criterion);
  esp_options_clear(&table, s);
  assert_null(s->output);
}

static jmp_buf panic_point;
static void jump_out(int exit_code) {
  longjmp(panic_point, exit_code);
}

static bool init_panics(const esp_option *row, int count) {
  const esp_option_table bad = {row, count, NULL};
  settings scratch;
  esp_set_panic_hook(jump_out);
  if (setjmp(panic_point) == 0) {
    esp_options_init(&bad, &scratch);
    esp_options_clear(&bad, &scratch);
    esp_set_panic_hook(NULL);
    return false;
  }
  esp_set_panic_hook(NULL);
  return true;
}

static void esp_options_init_panics_on_bad_tables(void **state) {
  (void)state;
  const esp_option twice[] = {{"a.seed", ESP_OPTION_INT, AT(seed), .commands = 1},
                              {"b.seed", ESP_OPTION_INT, AT(bins), .commands = 1}};
  const esp_option letters[] = {
      {"a.x", ESP_OPTION_INT, AT(seed), .commands = 1, .short_name = 'x'},
      {"a.y", ESP_OPTION_INT, AT(bins), .commands = 3, .short_name = 'x'}};
  const esp_option bad[] = {
      {"a.bins", ESP_OPTION_INT, AT(bins), .initial = "1", .low = 2, .high = 4}};
  const esp_option bare[] = {{"bins", ESP_OPTION_INT, AT(bins)}};
  assert_true(init_panics(twice, 2));
  assert_true(init_panics(letters, 2));
  assert_true(init_panics(bad, 1));
  assert_true(init_panics(bare, 1));
  assert_false(init_panics(twice, 1));
}

static void esp_options_set_takes_names_keys_and_underscores(void **state) {
  settings *s = *state;
  assert_int_equal(esp_options_set(&table, s, "bins", "8"), ESP_OK);
  assert_int_equal(s->bins, 8);
  assert_int_equal(esp_options_set(&table, s, "prune.bins", "6"), ESP_OK);
  assert_int_equal(s->bins, 6);
  assert_int_equal(esp_options_set(&table, s, "context_file", "a"), ESP_OK);
  assert_string_equal(s->context_file, "a");
  assert_failure(esp_options_set(&table, s, "run.bins", "6"), ESP_USAGE,
                 "did you mean prune.bins?");
}

static void read_arguments_takes_every_spelling(void **state) {
  settings *s = *state;
  assert_int_equal(read_line(s, PRUNE,
                             "--bins 8 --sparsity=0.25 --force -o out.h5 --run.seed=7 "
                             "--no-repair --prune.criterion random"),
                   ESP_OK);
  assert_true(s->bins == 8 && s->sparsity == 0.25 && s->force && s->seed == 7 && !s->repair);
  assert_string_equal(s->output, "out.h5");
  assert_string_equal(s->criterion, "random");
  assert_int_equal(arguments.n_positional, 0);
  assert_int_equal(read_line(s, EVAL, "--context_file a -ob.h5 --force=no"), ESP_OK);
  assert_string_equal(s->context_file, "a");
  assert_string_equal(s->output, "b.h5");
  assert_false(s->force);
}

static void read_arguments_keeps_positional_ones_in_order(void **state) {
  char *argv[] = {(char[]){"model"}, (char[]){"--seed"}, (char[]){"1"}, (char[]){"-"},
                  (char[]){"--"},    (char[]){"--bins"}, (char[]){"-o"}};
  arguments = (esp_arguments){PRUNE, (int)ESP_COUNT(argv), argv, 0, positional};
  assert_int_equal(esp_options_read_arguments(&table, *state, &arguments), ESP_OK);
  assert_int_equal(arguments.n_positional, 4);
  assert_string_equal(positional[0], "model");
  assert_string_equal(positional[1], "-");
  assert_string_equal(positional[2], "--bins");
  assert_string_equal(positional[3], "-o");
}

static void read_arguments_takes_none(void **state) {
  assert_int_equal(read_line(*state, PRUNE, ""), ESP_OK);
  assert_int_equal(arguments.n_positional, 0);
}

/* The address sanitizer watches that the first text is freed. */
static void read_arguments_lets_the_last_win(void **state) {
  settings *s = *state;
  assert_int_equal(read_line(s, PRUNE, "-o one --output two --bins 3 --bins=5"), ESP_OK);
  assert_string_equal(s->output, "two");
  assert_int_equal(s->bins, 5);
}

static void read_arguments_takes_negative_values_and_dash(void **state) {
  settings *s = *state;
  assert_int_equal(read_line(s, PRUNE, "--limit -5 --ridge -.5 -o -"), ESP_OK);
  assert_int_equal(s->limit, -5);
  assert_true(s->ridge == -0.5);
  assert_string_equal(s->output, "-");
}

static void read_arguments_misses_values(void **state) {
  settings *s = *state;
  assert_failure(read_line(s, PRUNE, "--bins"), ESP_USAGE, "--bins: expected a whole number");
  assert_failure(read_line(s, PRUNE, "--bins --force"), ESP_USAGE, "from 2 to 16, found no value");
  assert_failure(read_line(s, PRUNE, "-o --force"), ESP_USAGE,
                 "-o: expected a text, found no value");
  assert_failure(read_line(s, PRUNE, "--output="), ESP_USAGE, "--output: expected a text");
  assert_int_equal(read_line(s, PRUNE, "--output=--force"), ESP_OK);
  assert_string_equal(s->output, "--force");
}

static void read_arguments_names_near_options_of_the_command(void **state) {
  assert_failure(read_line(*state, PRUNE, "--sparsty=0.5"), ESP_USAGE,
                 "unknown option '--sparsty'; did you mean --sparsity? Known: --force, ");
  assert_failure(read_line(*state, PRUNE, "--context"), ESP_USAGE,
                 "unknown option '--context'; kn");
  assert_failure(read_line(*state, EVAL, "--context"), ESP_USAGE, "did you mean --context-file?");
  assert_failure(read_line(*state, EVAL, "--no-seed"), ESP_USAGE, "unknown option '--no-seed'");
  assert_failure(read_line(*state, EVAL, "-x"), ESP_USAGE, "unknown option '-x'");
  assert_failure(read_line(*state, EVAL, "-fo"), ESP_USAGE, "unknown option '-fo'");
}

static void read_arguments_refuses_options_of_other_commands(void **state) {
  assert_failure(read_line(*state, EVAL, "--sparsity 0.5"), ESP_USAGE,
                 "this command does not take --sparsity");
  assert_failure(read_line(*state, EVAL, "--no-repair"), ESP_USAGE,
                 "this command does not take --no-repair");
}

static void read_arguments_refuses_values_of_negated_flags(void **state) {
  assert_failure(read_line(*state, PRUNE, "--no-repair=true"), ESP_USAGE,
                 "--no-repair takes no value, found 'true'; write --repair=true");
}

static char *capture_help(unsigned command) {
  FILE *const file = tmpfile();
  char *text = esp_alloc(8192, 1);
  fflush(stdout);
  const int saved = dup(STDOUT_FILENO);
  dup2(fileno(file), STDOUT_FILENO);
  esp_options_print_help(&table, command);
  fflush(stdout);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  rewind(file);
  text[fread(text, 1, 8191, file)] = '\0';
  fclose(file);
  return text;
}

static void print_help_groups_and_aligns(void **state) {
  (void)state;
  char *text = capture_help(EVAL);
  assert_string_equal(text, "run:\n"
                            "  -f, --force              go on\n"
                            "      --seed N             seed (default 42; at least 0)\n"
                            "      --limit N            any number\n"
                            "  -o, --output FILE        what is written\n"
                            "\n"
                            "eval:\n"
                            "      --context-file TEXT  text\n");
  esp_free(&text);
}

static void print_help_shows_ranges_and_choices(void **state) {
  (void)state;
  char *text = capture_help(PRUNE);
  assert_non_null(strstr(text, "--[no-]repair "));
  assert_non_null(strstr(text, "(default true)"));
  assert_non_null(strstr(text, "(default 0.5; at least 0 and below 1)"));
  assert_non_null(strstr(text, "(default set-mi; one of random, magnitude, set-mi)"));
  assert_null(strstr(text, "context-file"));
  esp_free(&text);
}

static void dump_holds_the_options_of_a_command(void **state) {
  settings *s = *state;
  assert_int_equal(read_line(s, EVAL, "--force --limit 3 --output a\"b"), ESP_OK);
  json_t *const dump = esp_options_dump(&table, s, EVAL);
  char *const text = json_dumps(dump, JSON_COMPACT);
  assert_string_equal(text,
                      "{\"run\":{\"force\":true,\"seed\":42,\"limit\":3,\"output\":\"a\\\"b\"},"
                      "\"eval\":{\"context-file\":null}}");
  free(text);
  json_decref(dump);
}

static void dump_of_names_that_are_not_utf8_is_json(void **state) {
  settings *s = *state;
  assert_int_equal(esp_options_set(&table, s, "output", "caf\xe9.h5"), ESP_OK);
  json_t *const dump = esp_options_dump(&table, s, EVAL);
  const json_t *const output = json_object_get(json_object_get(dump, "run"), "output");
  assert_string_equal(json_string_value(output), "caf\xEF\xBF\xBD"
                                                 "e9.h5");
  json_decref(dump);
}

static void reading_notes_where_options_were_given(void **state) {
  settings *s = *state;
  esp_option_origin origins[ESP_COUNT(rows)] = {0};
  const esp_option_table noting = {rows, (int)ESP_COUNT(rows), origins};
  char word[] = "--seed=7", *words[] = {word};
  esp_arguments line = {.command = PRUNE, .argc = 1, .argv = words, .positional = positional};
  const char *yaml = "run: {seed: 3, limit: 4}\nprune.criterion: null";
  assert_int_equal(esp_options_read_yaml(&noting, s, yaml, "x"), ESP_OK);
  assert_int_equal(esp_options_read_arguments(&noting, s, &line), ESP_OK);
  for (unsigned i = 0; i < ESP_COUNT(rows); i++) {
    const esp_option_origin expected = strcmp(rows[i].key, "run.seed") == 0    ? ESP_GIVEN_ON_LINE
                                       : strcmp(rows[i].key, "run.limit") == 0 ? ESP_GIVEN_IN_FILE
                                                                               : ESP_NOT_GIVEN;
    assert_int_equal(origins[i], expected);
    assert_int_equal(esp_options_is_given(&noting, rows[i].key, ~0u), expected != ESP_NOT_GIVEN);
    assert_false(esp_options_is_given(&noting, rows[i].key, 0));
    assert_false(esp_options_is_given(&table, rows[i].key, ~0u));
  }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

typedef struct few_settings {
  int64_t multiple, budget;
  double factor;
  char *list;
} few_settings;

/* A word for 0; numbers that are left out while they are 0; one name for two commands. */
static const esp_option few[] = {
    {"prune.multiple", ESP_OPTION_INT, offsetof(few_settings, multiple), .initial = "1", .low = 1,
     .high = 64, .word = "auto", .commands = PRUNE},
    {"prune.budget", ESP_OPTION_INT, offsetof(few_settings, budget), .low = 1, .high = 9,
     .only_if_given = true, .commands = PRUNE},
    {"prune.factor", ESP_OPTION_REAL, offsetof(few_settings, factor), .low = 1, .high = 9,
     .only_if_given = true, .commands = PRUNE},
    {"eval.budget", ESP_OPTION_TEXT, offsetof(few_settings, list), .commands = EVAL},
};
static const esp_option_table few_table = {few, (int)ESP_COUNT(few), NULL};

static void word_stands_for_zero_whatever_the_range(void **state) {
  (void)state;
  few_settings s;
  esp_options_init(&few_table, &s);
  assert_int_equal(esp_options_set(&few_table, &s, "multiple", "auto"), ESP_OK);
  assert_int_equal(s.multiple, 0);
  assert_failure(esp_options_set(&few_table, &s, "multiple", "0"), ESP_USAGE, "or auto");
  json_t *dump = esp_options_dump(&few_table, &s, PRUNE);
  json_t *value = json_object_get(json_object_get(dump, "prune"), "multiple");
  assert_string_equal(json_string_value(value), "auto");
  json_decref(dump);
  esp_options_clear(&few_table, &s);
}

static void numbers_only_if_given_are_left_out_of_a_dump(void **state) {
  (void)state;
  few_settings s;
  esp_options_init(&few_table, &s);
  for (int i = 0; i < 2; i++) {
    json_t *dump = esp_options_dump(&few_table, &s, PRUNE), *group = json_object_get(dump, "prune");
    assert_int_equal(json_object_size(group), i == 0 ? 1 : 3);
    json_decref(dump);
    assert_int_equal(esp_options_set(&few_table, &s, "prune.budget", "3"), ESP_OK);
    assert_int_equal(esp_options_set(&few_table, &s, "factor", "1.5"), ESP_OK);
  }
  esp_options_clear(&few_table, &s);
}

static void name_of_two_options_is_that_of_the_command(void **state) {
  (void)state;
  few_settings s;
  char budget[] = "--budget", list[] = "3,4", number[] = "3", whole[] = "--eval.budget";
  char *first[] = {budget, list}, *second[] = {budget, number}, *third[] = {whole, list};
  esp_options_init(&few_table, &s);
  esp_arguments line = {.command = EVAL, .argc = 2, .argv = first, .positional = positional};
  assert_int_equal(esp_options_read_arguments(&few_table, &s, &line), ESP_OK);
  assert_string_equal(s.list, "3,4");
  assert_int_equal(s.budget, 0);
  line = (esp_arguments){.command = PRUNE, .argc = 2, .argv = second, .positional = positional};
  assert_int_equal(esp_options_read_arguments(&few_table, &s, &line), ESP_OK);
  assert_int_equal(s.budget, 3);
  line.argv = third;
  assert_failure(esp_options_read_arguments(&few_table, &s, &line), ESP_USAGE, "does not take");
  esp_options_clear(&few_table, &s);
}

ESP_TEST_MAIN(CASE(reading_notes_where_options_were_given), CASE(esp_options_init_sets_defaults),
              CASE(esp_options_clear_sets_texts_null), CASE(esp_options_init_panics_on_bad_tables),
              CASE(esp_options_set_takes_names_keys_and_underscores),
              CASE(read_arguments_takes_every_spelling),
              CASE(read_arguments_keeps_positional_ones_in_order), CASE(read_arguments_takes_none),
              CASE(read_arguments_lets_the_last_win),
              CASE(read_arguments_takes_negative_values_and_dash),
              CASE(read_arguments_misses_values),
              CASE(read_arguments_names_near_options_of_the_command),
              CASE(read_arguments_refuses_options_of_other_commands),
              CASE(read_arguments_refuses_values_of_negated_flags),
              CASE(print_help_groups_and_aligns), CASE(print_help_shows_ranges_and_choices),
              CASE(dump_holds_the_options_of_a_command),
              CASE(dump_of_names_that_are_not_utf8_is_json),
              cmocka_unit_test(word_stands_for_zero_whatever_the_range),
              cmocka_unit_test(numbers_only_if_given_are_left_out_of_a_dump),
              cmocka_unit_test(name_of_two_options_is_that_of_the_command))
