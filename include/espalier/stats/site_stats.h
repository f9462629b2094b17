/* What is known of one site's activations: edges, moments, codes. */
#ifndef ESPALIER_STATS_SITE_STATS_H
#define ESPALIER_STATS_SITE_STATS_H

#include "espalier/core/c_linkage.h"
#include "espalier/information/planes.h"
#include "espalier/model/model.h"

ESP_C_BEGIN

typedef struct esp_site_stats {
  char name[64];
  int64_t features;                            // F
  float *edges;                                // (F, B-1)
  double *mean, *variance, *norm, *activation; // (F)
  float *covariance;                           // (F, F) or NULL
  esp_planes planes;                           // this rank's micro-batches, W words each
} esp_site_stats;

/* Allocate edges and moments, zeroed; the rest is NULL. Local. */
void esp_site_stats_init(esp_site_stats *site, const char *name, int64_t features, int bins);
/* Free all arrays. Local. */
void esp_site_stats_clear(esp_site_stats *site);

/* Name the site of the residual stream as a stage reads it. Local. */
typedef struct esp_site_name {
  char text[64];
} esp_site_name;
esp_site_name esp_stats_name_reader(const esp_model *model, int stage);

ESP_C_END

#endif
