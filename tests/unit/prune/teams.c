#include "unit.h"

#include "teams.h"

static const esp_criterion *find(const char *name) {
  const esp_criterion *criterion = NULL;
  assert_int_equal(esp_criterion_find(name, &criterion), ESP_OK);
  return criterion;
}

/* Llama-2-7B: 32 sites of neurons, 32 of heads. */
static void wide_sites_go_before_narrow_ones_where_ranks_would_idle(void **state) {
  (void)state;
  int64_t features[64];
  for (int i = 0; i < 64; i++) features[i] = i < 32 ? 11008 : 4096;
  assert_int_equal(teams_choose(find("set-mi"), features, 64, 64), 32);
  assert_int_equal(teams_size(find("set-mi"), 11008, 32, 64, 31), 2);
}

static void ranks_have_a_site_each_where_there_are_enough(void **state) {
  (void)state;
  const int64_t features[] = {1536, 1536, 1536, 1536};
  assert_int_equal(teams_choose(find("set-mi"), features, 4, 4), 4);
  assert_int_equal(teams_choose(find("set-mi"), features, 4, 2), 2);
  assert_int_equal(teams_choose(find("set-mi"), features, 2, 2), 2);
}

static void a_criterion_that_is_not_shared_takes_as_many_sites_as_ranks(void **state) {
  (void)state;
  const int64_t features[] = {11008, 11008, 11008, 4096};
  assert_int_equal(teams_choose(find("flap"), features, 4, 16), 4);
  assert_int_equal(teams_size(find("flap"), 11008, 1, 16, 0), 1);
}

/* Every rank is in one team or none, and the first of a team is its owner. */
static void every_rank_has_its_place(void **state) {
  (void)state;
  const esp_criterion *criterion = find("set-mi");
  const int64_t features[] = {1536, 1536, 600};
  for (int ranks = 3; ranks < 40; ranks++) {
    int members[3] = {0}, first[3] = {-1, -1, -1};
    for (int rank = 0; rank < ranks; rank++) {
      const int site = teams_site_of(criterion, features, 3, ranks, rank);
      if (site >= 0 && members[site]++ == 0) first[site] = rank;
    }
    for (int i = 0; i < 3; i++) {
      assert_int_equal(members[i], teams_size(criterion, features[i], 3, ranks, i));
      assert_int_equal(first[i], teams_first(3, ranks, i));
      assert_in_range(members[i], 1, esp_criterion_most_ranks(criterion, features[i]));
    }
  }
}

static void small_sites_have_one_rank(void **state) {
  (void)state;
  assert_int_equal(esp_criterion_most_ranks(find("set-mi"), 100), 1);
  assert_int_equal(esp_criterion_most_ranks(find("set-mi"), 600), 2);
  assert_int_equal(esp_criterion_most_ranks(find("set-mi-forward"), 11008), 1);
}

ESP_TEST_MAIN(cmocka_unit_test(wide_sites_go_before_narrow_ones_where_ranks_would_idle),
              cmocka_unit_test(ranks_have_a_site_each_where_there_are_enough),
              cmocka_unit_test(a_criterion_that_is_not_shared_takes_as_many_sites_as_ranks),
              cmocka_unit_test(every_rank_has_its_place),
              cmocka_unit_test(small_sites_have_one_rank))
