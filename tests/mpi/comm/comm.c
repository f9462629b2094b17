#include "espalier/comm/comm.h"
#include "espalier/comm/phases.h"
#include "espalier/comm/traffic.h"

#include "mpi.h"

#include <math.h>
#include <string.h>

static int last_rank(void) {
  return test_comm.size - 1;
}

/* Even and odd ranks, each on their own; their calls are counted as all ranks'. */
static void a_team_is_of_the_ranks_with_its_number(void **state) {
  (void)state;
  esp_comm team;
  esp_comm_init_team(&team, &test_comm, test_comm.rank % 2);
  ASSERT_ALL(team.rank == test_comm.rank / 2);
  ASSERT_ALL(team.size == (test_comm.size + 1 - test_comm.rank % 2) / 2);
  int64_t number = test_comm.rank;
  const int64_t calls = esp_comm_get_traffic_local(&test_comm)->calls[ESP_BCAST];
  esp_bcast(&team, &number, sizeof number, 0);
  ASSERT_ALL(number == test_comm.rank % 2);
  const int64_t more = esp_comm_get_traffic_local(&test_comm)->calls[ESP_BCAST] - calls;
  ASSERT_ALL(more == (team.size > 1));
  esp_comm_clear(&team);
}

static void reduce_gather_keeps_every_bit_on_root(void **state) {
  (void)state;
  const int root = last_rank();
  for (int owner = 0; owner < test_comm.size; owner++) {
    double values[2] = {0.0, 0.0};
    if (test_comm.rank == owner) values[0] = -0.0, values[1] = 0.1;
    esp_reduce_gather_f64(&test_comm, values, 2, root);
    ASSERT_ALL(test_comm.rank != root || (signbit(values[0]) && values[1] == 0.1));
  }
}

static void agree_without_failure_is_ok(void **state) {
  (void)state;
  ASSERT_ALL(esp_agree(&test_comm, ESP_OK) == ESP_OK);
}

static void agree_gives_all_ranks_the_failure_of_one(void **state) {
  (void)state;
  esp_status mine = ESP_OK;
  esp_fail(ESP_USAGE, "stale text of rank %d", test_comm.rank);
  if (test_comm.rank == last_rank()) mine = esp_fail(ESP_FORMAT, "file of rank %d", last_rank());
  const esp_status agreed = esp_agree(&test_comm, mine);
  char expected[32];
  snprintf(expected, sizeof expected, "file of rank %d", last_rank());
  ASSERT_ALL(agreed == ESP_FORMAT);
  ASSERT_ALL(strcmp(esp_failure_text(), expected) == 0);
}

static void agree_on_several_failures_takes_the_lowest_rank(void **state) {
  (void)state;
  const int lowest = test_comm.size > 1 ? 1 : 0;
  esp_status mine = ESP_OK;
  if (test_comm.rank >= lowest)
    mine = esp_fail(test_comm.rank == lowest ? ESP_IO : ESP_NUMERIC, "rank %d", test_comm.rank);
  const esp_status agreed = esp_agree(&test_comm, mine);
  ASSERT_ALL(agreed == ESP_IO);
  ASSERT_ALL(strcmp(esp_failure_text(), lowest ? "rank 1" : "rank 0") == 0);
}

static void agree_keeps_percent_signs_and_long_texts(void **state) {
  (void)state;
  char text[1024];
  memset(text, 'x', sizeof text - 1);
  memcpy(text, "100%s%n", 7);
  text[sizeof text - 1] = '\0';
  const int bad = test_comm.rank == last_rank();
  const esp_status agreed = esp_agree(&test_comm, bad ? esp_fail(ESP_IO, "%s", text) : ESP_OK);
  ASSERT_ALL(agreed == ESP_IO);
  ASSERT_ALL(strcmp(esp_failure_text(), text) == 0);
}

static void agree_after_a_failure_can_succeed(void **state) {
  (void)state;
  esp_agree(&test_comm, test_comm.rank == 0 ? esp_fail(ESP_IO, "first") : ESP_OK);
  ASSERT_ALL(esp_agree(&test_comm, ESP_OK) == ESP_OK);
}

static void comm_is_a_duplicate_and_clears_twice(void **state) {
  (void)state;
  esp_comm copy;
  int relation;
  const MPI_Comm parent = esp_comm_get_handle_local(&test_comm);
  esp_comm_init(&copy, parent);
  MPI_Comm_compare(esp_comm_get_handle_local(&copy), parent, &relation);
  const int same = copy.rank == test_comm.rank && copy.size == test_comm.size;
  esp_comm_clear(&copy);
  esp_comm_clear(&copy);
  ASSERT_ALL(relation == MPI_CONGRUENT && same && !copy.state);
}

static int covers(int64_t n, int64_t parts) {
  int good = esp_block_begin(n, parts, 0) == 0 && esp_block_begin(n, parts, parts) == n;
  for (int64_t part = 0; part < parts; part++) {
    const int64_t size = esp_block_begin(n, parts, part + 1) - esp_block_begin(n, parts, part);
    good = good && (size == n / parts || size == n / parts + (n % parts > 0));
  }
  return good;
}

static void block_ranges_cover_and_differ_by_at_most_one(void **state) {
  (void)state;
  for (int64_t n = 0; n < 40; n++)
    for (int64_t parts = 1; parts < 9; parts++) ASSERT_ALL(covers(n, parts));
  ASSERT_ALL(covers((int64_t)1 << 61, 1021));
}

static void block_ranges_of_fewer_items_than_parts_are_one_or_none(void **state) {
  (void)state;
  const int64_t parts = test_comm.size + 2, part = test_comm.rank;
  const int64_t size = esp_block_begin(2, parts, part + 1) - esp_block_begin(2, parts, part);
  ASSERT_ALL(size == (part < 2 ? 1 : 0));
}

static void bcast_copies_from_any_root_beyond_one_call(void **state) {
  (void)state;
  const int64_t bytes = ((int64_t)1 << 24) + 3;
  char *data = esp_alloc(bytes, 1);
  if (test_comm.rank == last_rank()) memset(data, 7, (size_t)bytes);
  esp_bcast(&test_comm, data, bytes, last_rank());
  const int good = data[0] == 7 && memcmp(data, data + 1, (size_t)bytes - 1) == 0;
  esp_free(&data);
  ASSERT_ALL(good);
}

static void bcast_text_replaces_the_others_text(void **state) {
  (void)state;
  char *text = esp_format("text of rank %d, of its own length %.*s", test_comm.rank, test_comm.rank,
                          "xxxxxxxx");
  esp_bcast_text(&test_comm, &text, 0);
  const int good = strcmp(text, "text of rank 0, of its own length ") == 0;
  esp_free(&text);
  ASSERT_ALL(good);
}

static void bcast_text_of_null_is_null_everywhere(void **state) {
  (void)state;
  char *text = test_comm.rank == last_rank() ? NULL : esp_strdup("old");
  esp_bcast_text(&test_comm, &text, last_rank());
  ASSERT_ALL(text == NULL);
}

static void bcast_text_of_nothing_stays_empty(void **state) {
  (void)state;
  char *text = test_comm.rank == 0 ? esp_strdup("") : NULL;
  esp_bcast_text(&test_comm, &text, 0);
  const int good = text && text[0] == '\0';
  esp_free(&text);
  ASSERT_ALL(good);
}

static void allreduce_sum_i64_is_exact_beyond_doubles(void **state) {
  (void)state;
  const int64_t big = ((int64_t)1 << 60) / test_comm.size;
  int64_t values[] = {big, test_comm.rank, test_comm.rank == 0 ? 1 : 0};
  esp_allreduce_sum_i64(&test_comm, values, 3);
  const int64_t size = test_comm.size;
  ASSERT_ALL(values[0] == big * size && values[1] == size * (size - 1) / 2 && values[2] == 1);
}

static void allreduce_sum_i64_goes_beyond_one_call(void **state) {
  (void)state;
  const int64_t count = ((int64_t)1 << 24) + 2;
  int64_t *values = ESP_NEW(int64_t, count);
  values[0] = 1;
  values[count - 1] = 1 + test_comm.rank;
  esp_allreduce_sum_i64(&test_comm, values, count);
  const int64_t size = test_comm.size, first = values[0], last = values[count - 1];
  esp_free(&values);
  ASSERT_ALL(first == size && last == size * (size + 1) / 2);
}

static void allreduce_gather_keeps_every_bit(void **state) {
  (void)state;
  const double sent[] = {-0.0, 1e-310, -1.0 / 3, INFINITY};
  double wide[4] = {0};
  float narrow[4] = {0};
  for (int i = test_comm.rank; i < 4; i += test_comm.size) {
    wide[i] = sent[i];
    narrow[i] = (float)sent[i];
  }
  esp_allreduce_gather_f64(&test_comm, wide, 4);
  esp_allreduce_gather_f32(&test_comm, narrow, 4);
  const float expected[] = {-0.0F, (float)1e-310, (float)(-1.0 / 3), INFINITY};
  ASSERT_ALL(memcmp(wide, sent, sizeof wide) == 0);
  ASSERT_ALL(memcmp(narrow, expected, sizeof narrow) == 0);
}

static void agree_max_takes_negative_values(void **state) {
  (void)state;
  ASSERT_ALL(esp_agree_max_f64(&test_comm, -5.0 - test_comm.rank) == -5);
}

static void compute_spread_names_the_lowest_rank_of_the_maximum(void **state) {
  (void)state;
  const int size = test_comm.size;
  const esp_spread spread = esp_compute_spread(&test_comm, test_comm.rank == 0 ? 1 : 4);
  ASSERT_ALL(spread.min == 1 && spread.max == (size > 1 ? 4 : 1));
  ASSERT_ALL(fabs(spread.mean - (1 + 4.0 * (size - 1)) / size) < 1e-12);
  ASSERT_ALL(spread.max_rank == (size > 1 ? 1 : 0));
}

static double number(const json_t *all, const char *group, const char *name, const char *key) {
  return json_number_value(
      json_object_get(json_object_get(json_object_get(all, group), name), key));
}

static void phases_gather_tells_every_phase_on_all_ranks(void **state) {
  (void)state;
  const esp_phases phases = {
      .name = {"read", "solve"}, .count = 2, .seconds = {2.0 + test_comm.rank, 0.5}};
  json_t *all = esp_phases_gather(&test_comm, &phases);
  const double low = number(all, "phases_s", "read", "min");
  const double high = number(all, "phases_s", "read", "max");
  const double rank = number(all, "phases_s", "read", "max_rank");
  const double mean = number(all, "phases_s", "solve", "mean");
  json_decref(all);
  ASSERT_ALL(low == 2 && high == 2 + last_rank() && rank == last_rank());
  ASSERT_ALL(fabs(mean - 0.5) < 1e-12);
}

static void phases_gather_tells_the_peak_memory(void **state) {
  (void)state;
  json_t *all = esp_phases_gather(&test_comm, &(esp_phases){0});
  const double rss =
      json_number_value(json_object_get(json_object_get(all, "peak_rss_bytes"), "min"));
  const size_t phases = json_object_size(json_object_get(all, "phases_s"));
  json_decref(all);
  ASSERT_ALL(rss > 1e6 && phases == 0);
}

static void phases_gather_names_the_slowest_rank_s_host(void **state) {
  (void)state;
  char host[MPI_MAX_PROCESSOR_NAME];
  int length;
  MPI_Get_processor_name(host, &length);
  esp_bcast(&test_comm, host, sizeof host, last_rank());
  const esp_phases phases = {.name = {"read"}, .count = 1, .seconds = {1.0 + test_comm.rank}};
  json_t *all = esp_phases_gather(&test_comm, &phases);
  const json_t *read = json_object_get(json_object_get(all, "phases_s"), "read");
  const int same = strcmp(json_string_value(json_object_get(read, "max_host")), host) == 0;
  json_decref(all);
  ASSERT_ALL(same);
}

static void phases_gather_lists_the_memory_of_all_ranks(void **state) {
  (void)state;
  json_t *all = esp_phases_gather(&test_comm, &(esp_phases){0});
  const json_t *memory = json_object_get(all, "peak_anonymous_bytes");
  const json_t *ranks = json_object_get(memory, "ranks");
  const double most = json_number_value(json_object_get(memory, "max"));
  double largest = 0;
  for (size_t r = 0; r < json_array_size(ranks); r++)
    largest = fmax(largest, json_number_value(json_array_get(ranks, r)));
  const int listed = json_array_size(ranks) == (size_t)test_comm.size && largest == most;
  json_decref(all);
  ASSERT_ALL(listed);
}

static void phases_end_keeps_the_memory_of_each_phase(void **state) {
  (void)state;
  const int64_t bytes = (int64_t)64 << 20;
  esp_phases phases = {0};
  esp_phases_begin(&phases, "big");
  char *block = esp_alloc(bytes, 1);
  esp_free(&block);
  esp_phases_begin(&phases, "small");
  esp_phases_end(&phases);
  const int told = phases.bytes[0] >= bytes && phases.bytes[1] > 0 &&
                   phases.bytes[1] <= phases.bytes[0] - bytes / 2;
  ASSERT_ALL(told || esp_peak_anonymous_bytes() == 0);
}

static double count_traffic(const char *kind, const char *key) {
  json_t *all = esp_phases_gather_traffic(&test_comm);
  const double value = json_number_value(json_object_get(json_object_get(all, kind), key));
  json_decref(all);
  return value;
}

static void traffic_counts_calls_and_bytes_of_more_than_one_rank(void **state) {
  (void)state;
  int64_t values[3] = {0};
  const double calls = count_traffic("allreduce", "calls");
  const double bytes = count_traffic("allreduce", "bytes"), sent = count_traffic("bcast", "bytes");
  esp_allreduce_sum_i64(&test_comm, values, 3);
  esp_bcast(&test_comm, values, 5, 0);
  const double one = test_comm.size > 1;
  ASSERT_ALL(count_traffic("allreduce", "calls") == calls + one);
  ASSERT_ALL(count_traffic("allreduce", "bytes") == bytes + 24 * one);
  ASSERT_ALL(count_traffic("bcast", "bytes") == sent + 5 * one);
}

static void phases_begin_goes_on_with_a_known_name(void **state) {
  (void)state;
  esp_phases phases = {0};
  esp_phases_begin(&phases, "collect");
  esp_phases_begin(&phases, "select");
  esp_phases_begin(&phases, "collect");
  esp_phases_end(&phases);
  esp_phases_end(&phases);
  ASSERT_ALL(phases.count == 2 && phases.current == 0 && strcmp(phases.name[0], "collect") == 0);
  ASSERT_ALL(phases.seconds[0] >= 0 && phases.seconds[1] >= 0);
}

ESP_TEST_MAIN(cmocka_unit_test(a_team_is_of_the_ranks_with_its_number),
              cmocka_unit_test(reduce_gather_keeps_every_bit_on_root),
              cmocka_unit_test(agree_without_failure_is_ok),
              cmocka_unit_test(agree_gives_all_ranks_the_failure_of_one),
              cmocka_unit_test(agree_on_several_failures_takes_the_lowest_rank),
              cmocka_unit_test(agree_keeps_percent_signs_and_long_texts),
              cmocka_unit_test(agree_after_a_failure_can_succeed),
              cmocka_unit_test(comm_is_a_duplicate_and_clears_twice),
              cmocka_unit_test(block_ranges_cover_and_differ_by_at_most_one),
              cmocka_unit_test(block_ranges_of_fewer_items_than_parts_are_one_or_none),
              cmocka_unit_test(bcast_copies_from_any_root_beyond_one_call),
              cmocka_unit_test(bcast_text_replaces_the_others_text),
              cmocka_unit_test(bcast_text_of_null_is_null_everywhere),
              cmocka_unit_test(bcast_text_of_nothing_stays_empty),
              cmocka_unit_test(allreduce_sum_i64_is_exact_beyond_doubles),
              cmocka_unit_test(allreduce_sum_i64_goes_beyond_one_call),
              cmocka_unit_test(allreduce_gather_keeps_every_bit),
              cmocka_unit_test(agree_max_takes_negative_values),
              cmocka_unit_test(compute_spread_names_the_lowest_rank_of_the_maximum),
              cmocka_unit_test(phases_gather_tells_every_phase_on_all_ranks),
              cmocka_unit_test(phases_gather_tells_the_peak_memory),
              cmocka_unit_test(phases_gather_names_the_slowest_rank_s_host),
              cmocka_unit_test(phases_gather_lists_the_memory_of_all_ranks),
              cmocka_unit_test(phases_end_keeps_the_memory_of_each_phase),
              cmocka_unit_test(traffic_counts_calls_and_bytes_of_more_than_one_rank),
              cmocka_unit_test(phases_begin_goes_on_with_a_known_name))
