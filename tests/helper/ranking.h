/* A criterion's ranking, of one reader or of several. */
#ifndef ESPALIER_TESTS_RANKING_H
#define ESPALIER_TESTS_RANKING_H

#include "unit.h"

#include "espalier/select/joint.h"

enum { MOST_UNITS = 256 };

typedef struct ranking {
  int64_t order[MOST_UNITS];
  double score[MOST_UNITS];
} ranking;

static inline const esp_criterion *find(const char *name) {
  const esp_criterion *criterion = NULL;
  assert_int_equal(esp_criterion_find(name, &criterion), ESP_OK);
  return criterion;
}

static inline esp_status rank(const char *name, const esp_evidence *evidence, ranking *result) {
  return find(name)->rank(evidence, result->order, result->score);
}

static inline ranking must_rank(const char *name, const esp_evidence *evidence) {
  ranking result = {{0}, {0}};
  assert_int_equal(rank(name, evidence, &result), ESP_OK);
  return result;
}

static inline ranking rank_jointly(const char *name, const esp_evidence *readers, int n) {
  ranking result = {{0}, {0}};
  esp_joint *joint = NULL;
  assert_int_equal(esp_joint_new_local(NULL, find(name), readers[0].units, n, &joint), ESP_OK);
  for (int r = 0; r < n; r++) assert_int_equal(esp_joint_add(joint, &readers[r]), ESP_OK);
  assert_int_equal(esp_joint_rank(joint, result.order, result.score), ESP_OK);
  esp_joint_free(&joint);
  return result;
}

#endif
