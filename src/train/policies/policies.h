/* All policies. */
#ifndef ESPALIER_SRC_TRAIN_POLICIES_POLICIES_H
#define ESPALIER_SRC_TRAIN_POLICIES_POLICIES_H

#include "policy.h"

extern const policy policy_gradual, policy_movement, policy_l0, policy_gates, policy_irrelevance,
    policy_l1, policy_l2;
extern const policy policy_set, policy_rigl, policy_snfs;
extern const policy policy_edge_popup, policy_freezenet;
extern const policy policy_grasp;
extern const policy policy_magnitude;
extern const policy policy_random;
extern const policy policy_snip;
extern const policy policy_synflow;
extern const policy policy_three_sp;
extern const policy policy_tickets;

#endif
