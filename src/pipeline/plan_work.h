/* Work of a job's phases, and what comes of it. */
#ifndef ESPALIER_SRC_PIPELINE_PLAN_WORK_H
#define ESPALIER_SRC_PIPELINE_PLAN_WORK_H

#include "plan.h"

enum { PLAN_PHASES = 8 };

typedef struct plan_cost {
  double flops;    // single precision; divided by the ranks
  double solver;   // double precision in distributed solves, likewise
  double serial;   // double precision of the busiest rank while others wait
  double values;   // elementwise, divided by the ranks
  double every;    // elementwise, the same on every rank
  double words;    // word operations of the busiest rank
  double bytes;    // read and written by one rank
  double reduced;  // bytes of allreduced buffers
  double solves;   // calls of the solver
  double datasets; // made in a file
} plan_cost;

typedef struct plan_phase {
  const char *name;
  plan_cost cost;
} plan_phase;

/* Fill phases, and return how many there are. Local. */
int plan_list_costs(const plan_job *plan, plan_phase phases[PLAN_PHASES]);

#endif
