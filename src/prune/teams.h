/* Which sites are ranked at a time, and by which ranks: the widest n, one a rank, or each by a team
 * of neighbouring ranks where a criterion can share a ranking. The order of ranks is that of nodes,
 * as MPI usually places them, so that a team lies together. All are local. */
#ifndef ESPALIER_SRC_PRUNE_TEAMS_H
#define ESPALIER_SRC_PRUNE_TEAMS_H

#include "espalier/select/criterion.h"

/* How many of the widest sites to rank at a time, so that ranks idle least; among equals the most.
 *   features  (n_sites) from the widest on, n_sites >= 1 */
int teams_choose(const esp_criterion *criterion, const int64_t *features, int n_sites, int ranks);
/* Of n sites at a time, the first rank of a site's team, which owns the ranking, and the team's
 * size. */
int teams_first(int n, int ranks, int site);
int teams_size(const esp_criterion *criterion, int64_t features, int n, int ranks, int site);
/* The site whose team a rank is in; -1: none. */
int teams_site_of(const esp_criterion *criterion, const int64_t *features, int n, int ranks,
                  int rank);

#endif
