/* From lists to points. */
#include "espalier/series/series.h"

#include "espalier/core/memory.h"
#include "espalier/prune/budget.h"
#include "espalier/select/criterion.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_POINTS = 4096 };

static const char dots[] = "...";

typedef struct list {
  int n;
  char **items; // owned
} list;

static void clear(list *self) {
  for (int i = 0; i < self->n; i++) esp_free(&self->items[i]);
  esp_free(&self->items);
}

static esp_status split(const char *option, const char *text, list *self) {
  char *copy = esp_strdup(text), *rest = copy;
  *self = (list){.items = ESP_NEW(char *, (int64_t)strlen(text) + 1)};
  for (char *item; (item = strtok_r(rest, ", ", &rest));) self->items[self->n++] = esp_strdup(item);
  esp_free(&copy);
  if (self->n > 0) return ESP_OK;
  return esp_fail(ESP_USAGE, "%s: expected a list with commas, found '%.80s'", option, text);
}

typedef struct numbers {
  int n;
  double *values; // (MOST_POINTS), owned
} numbers;

static esp_status fail_sparsity(const char *found) {
  return esp_fail(ESP_USAGE,
                  "--sparsity: expected numbers from 0 to below 1 with commas, as 0.25,0.5 or "
                  "0.1,0.2,...,0.7, found '%.80s'",
                  found);
}

static esp_status read_number(const char *text, double *value) {
  char *end;
  *value = strtod(text, &end);
  if (end != text && !*end && !text[strspn(text, "0123456789+-.eE")] && *value >= 0.0 &&
      *value < 1.0)
    return ESP_OK;
  return fail_sparsity(text);
}

/* 0.1 + 2 x 0.1 is 0.3 as it is written. */
static double tidy(double value) {
  return round(value * 1e12) / 1e12;
}

/* From the last value on by the last step, up to what stands behind the dots. */
static esp_status count_on(numbers *self, const char *to) {
  double last;
  ESP_TRY(read_number(to, &last));
  const double from = self->n > 1 ? self->values[self->n - 1] : 0.0;
  const double step = self->n > 1 ? from - self->values[self->n - 2] : 0.0;
  const double n = step > 0.0 ? round((last - from) / step) : 0.0;
  if (n < 1.0 || n > MOST_POINTS - self->n || fabs(from + n * step - last) > 1e-9)
    return esp_fail(ESP_USAGE,
                    "--sparsity: expected two numbers before %s and one behind it that equal steps "
                    "reach, found '%s,%.40s'",
                    dots, dots, to);
  for (int i = 1; i < (int)n; i++) self->values[self->n++] = tidy(from + i * step);
  self->values[self->n++] = last;
  return ESP_OK;
}

static esp_status read_numbers(const list *items, numbers *self) {
  *self = (numbers){.values = ESP_NEW(double, MOST_POINTS + 1)};
  for (int i = 0; i < items->n; i++) {
    if (self->n >= MOST_POINTS) return fail_sparsity("too many");
    if (strcmp(items->items[i], dots) != 0) {
      ESP_TRY(read_number(items->items[i], &self->values[self->n++]));
      continue;
    }
    if (++i == items->n) return fail_sparsity(dots);
    ESP_TRY(count_on(self, items->items[i]));
  }
  return ESP_OK;
}

static esp_status check_names(const list *criteria, const list *repairs) {
  const esp_criterion *criterion;
  const esp_repair *repair;
  for (int i = 0; i < criteria->n; i++) ESP_TRY(esp_criterion_find(criteria->items[i], &criterion));
  for (int i = 0; i < repairs->n; i++) ESP_TRY(esp_repair_find(repairs->items[i], &repair));
  return ESP_OK;
}

static void add(const char *criterion, double sparsity, const char *repair, int *n,
                esp_series_point *points) {
  points[(*n)++] = (esp_series_point){
      .name = esp_format("%s-%s-%s", criterion, esp_budget_format(sparsity).text, repair),
      .criterion = esp_strdup(criterion),
      .repair = esp_strdup(repair),
      .sparsity = sparsity};
}

static esp_status check_twice(int n, const esp_series_point *points) {
  for (int i = 0; i < n; i++)
    for (int k = 0; k < i; k++)
      if (strcmp(points[i].name, points[k].name) == 0)
        return esp_fail(ESP_USAGE, "the point %s is asked for twice; list everything once",
                        points[i].name);
  return ESP_OK;
}

/* Criterion by criterion, so that a curve is complete before the next one begins. */
static esp_status combine(const list *criteria, const numbers *sparsities, const list *repairs,
                          int *n, esp_series_point **points) {
  const int64_t count = (int64_t)criteria->n * sparsities->n * repairs->n;
  ESP_TRY(check_names(criteria, repairs));
  if (count > MOST_POINTS)
    return esp_fail(ESP_USAGE, "expected at most %d points, found %lld", MOST_POINTS,
                    (long long)count);
  *points = ESP_NEW(esp_series_point, count);
  for (int c = 0; c < criteria->n; c++)
    for (int r = 0; r < repairs->n; r++)
      for (int s = 0; s < sparsities->n; s++)
        add(criteria->items[c], sparsities->values[s], repairs->items[r], n, *points);
  return check_twice(*n, *points);
}

esp_status esp_series_list(const esp_series_options *options, int *n, esp_series_point **points) {
  list sparsities = {0}, criteria = {0}, repairs = {0};
  numbers values = {0};
  *n = 0;
  *points = NULL;
  esp_status status = split("--sparsity", options->sparsity, &sparsities);
  if (status == ESP_OK) status = split("--criterion", options->criterion, &criteria);
  if (status == ESP_OK) status = split("--repair", options->repair, &repairs);
  if (status == ESP_OK) status = read_numbers(&sparsities, &values);
  if (status == ESP_OK) status = combine(&criteria, &values, &repairs, n, points);
  esp_free(&values.values);
  clear(&sparsities);
  clear(&criteria);
  clear(&repairs);
  return status;
}

void esp_series_clear_points(int n, esp_series_point **points) {
  for (int i = 0; i < n; i++) {
    esp_series_point *point = &(*points)[i];
    esp_free(&point->name);
    esp_free(&point->criterion);
    esp_free(&point->repair);
    esp_free(&point->failure);
  }
  esp_free(points);
}
