/* All policies. */
#ifndef ESPALIER_SRC_TRAIN_POLICIES_POLICIES_H
#define ESPALIER_SRC_TRAIN_POLICIES_POLICIES_H

#include "policy.h"

extern const policy policy_gradual;
extern const policy policy_grasp;
extern const policy policy_magnitude;
extern const policy policy_random;
extern const policy policy_snip;
extern const policy policy_synflow;
extern const policy policy_three_sp;
extern const policy policy_tickets;

#endif
