/* How a greedy criterion ranks units with several readers: a state a reader, one order. */
#ifndef ESPALIER_SELECT_JOINT_RULE_H
#define ESPALIER_SELECT_JOINT_RULE_H

#include "espalier/select/criterion.h"

typedef struct joint_part joint_part; // a reader, each rule's own struct

/* All readers of the units, those of other ranks NULL. */
typedef struct joint_readers {
  const esp_comm *team; // of a shared rule, else NULL
  joint_part **parts;   // (n)
  int n;
  int64_t units; // U
} joint_readers;

typedef struct esp_joint_rule {
  esp_status (*add)(const esp_evidence *reader, joint_part **part);
  esp_status (*rank)(const joint_readers *readers, int64_t *order, double *score);
  void (*free)(joint_part **part);
  void (*cost)(const esp_criterion_shape *shape, esp_cost *cost); // of a reader; its part is kept
  bool is_shared; // ranks may hold parts in turn; rank is then collective on the team
  bool is_summed; // add gets the same part for all readers: there is one
} joint_rule;

#endif
