#include "espalier/information/joint.h"

void esp_count_joint_naive(const uint8_t *x, const uint8_t *y, int64_t n, int bins,
                           int32_t *counts) {
  int32_t histogram[ESP_MAX_BINS][ESP_MAX_BINS] = {{0}};
  for (int64_t s = 0; s < n; s++) histogram[x[s]][y[s]]++;
  for (int a = 1; a < bins; a++)
    for (int b = 1; b < bins; b++) {
      int32_t above = 0;
      for (int i = a; i < bins; i++)
        for (int j = b; j < bins; j++) above += histogram[i][j];
      counts[(a - 1) * (bins - 1) + b - 1] = above;
    }
}
