#include "teams.h"

#include "espalier/comm/comm.h"

#include <math.h>

int teams_first(int n, int ranks, int site) {
  return (int)esp_block_begin(ranks, n, site);
}

int teams_size(const esp_criterion *criterion, int64_t features, int n, int ranks, int site) {
  const int most = esp_criterion_most_ranks(criterion, features);
  const int found = teams_first(n, ranks, site + 1) - teams_first(n, ranks, site);
  return found < most ? found : most;
}

int teams_site_of(const esp_criterion *criterion, const int64_t *features, int n, int ranks,
                  int rank) {
  for (int i = 0; i < n; i++) {
    const int place = rank - teams_first(n, ranks, i);
    if (place >= 0 && place < teams_size(criterion, features[i], n, ranks, i)) return i;
  }
  return -1;
}

static double speed_of(const esp_criterion *criterion, int64_t features, int size) {
  return criterion->team_speed ? criterion->team_speed(features, size) : 1.0;
}

/* A site's work goes like the cube of its features. */
static double estimate(const esp_criterion *criterion, const int64_t *features, int n, int ranks) {
  double work = 0.0, longest = 0.0;
  for (int i = 0; i < n; i++) {
    const double of_site = pow((double)features[i], 3.0);
    const int size = teams_size(criterion, features[i], n, ranks, i);
    work += of_site;
    longest = fmax(longest, of_site / speed_of(criterion, features[i], size));
  }
  return longest > 0.0 ? work / longest : 0.0;
}

int teams_choose(const esp_criterion *criterion, const int64_t *features, int n_sites, int ranks) {
  int best = 1;
  for (int n = 2; n <= n_sites && n <= ranks; n++)
    if (estimate(criterion, features, n, ranks) >= estimate(criterion, features, best, ranks))
      best = n;
  return best;
}
