/* Solution of symmetric positive definite systems by all ranks: ScaLAPACK (pdpotrf, pdpotrs) on a
 * 2-D block-cyclic matrix, or, where the system is small, LAPACK (dpotrf, dpotrs) on every rank for
 * its share of the right-hand sides: there messages would take longer than the factorisation. */
#ifndef ESPALIER_LINALG_SOLVE_H
#define ESPALIER_LINALG_SOLVE_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

ESP_C_BEGIN

/* (G + ridge I) X = R. The callbacks return single elements and must give the same values on all
 * ranks, gram also for (i, j) and (j, i); each rank asks only for its own tiles. */
typedef struct esp_spd_problem {
  int64_t n, n_rhs;
  double ridge; // absolute
  double (*gram)(const void *context, int64_t i, int64_t j);
  double (*rhs)(const void *context, int64_t i, int64_t j);
  const void *context; // borrowed
  int64_t whole;       // unknowns of a system that every rank factors, at most; 0: 2048, -1: none
} esp_spd_problem;

/* Solve; x (n, n_rhs) row-major is written on every rank, equal on all of them. n or n_rhs 0 is
 * fine, as are more ranks than blocks. NUMERIC: not positive definite (the leading minor is named)
 * or not finite; USAGE: 2^31 elements a rank or more. A system that every rank factors gives the
 * same bits at any rank count; of another the last bits of double may differ. Collective on comm;
 * equal on all ranks: problem. */
esp_status esp_solve_spd(const esp_comm *comm, const esp_spd_problem *problem, double *x);
/* Whether every rank factors a system of so many unknowns, unless its problem says otherwise: the
 * same bits at any rank count. Local. */
bool esp_solve_is_whole_local(int64_t n);

ESP_C_END

#endif
