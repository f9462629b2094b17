/* How a greedy criterion ranks units with several readers: a state a reader, one order. */
#ifndef ESPALIER_SELECT_JOINT_RULE_H
#define ESPALIER_SELECT_JOINT_RULE_H

#include "elimination.h"

typedef struct esp_joint_rule {
  esp_status (*add)(const esp_evidence *reader, elimination **part);
  esp_status (*rank)(elimination **parts, int n, int64_t *order, double *score);
  void (*free)(elimination **part);
} joint_rule;

#endif
