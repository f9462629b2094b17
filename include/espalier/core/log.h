/* The log: stderr, switched on for one rank by main. stdout is for results. */
#ifndef ESPALIER_CORE_LOG_H
#define ESPALIER_CORE_LOG_H

#include "espalier/core/c_linkage.h"

#include <stdbool.h>
#include <stdint.h>

ESP_C_BEGIN

typedef enum esp_log_level { ESP_LOG_QUIET, ESP_LOG_WARN, ESP_LOG_INFO } esp_log_level;

/* Set what this process prints; ESP_LOG_QUIET until main says otherwise. Local. */
void esp_log_set_level(esp_log_level level);

/* Print one line "espalier: ..." to stderr. Local. */
void esp_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void esp_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds on a monotonic clock. Local. */
double esp_now_s(void);

/* A progress line: rewritten on a terminal, a plain line every 10 s otherwise. Caller's struct. */
typedef struct esp_progress {
  const char *what; // borrowed, e.g. "train"
  const char *unit; // borrowed, e.g. "images"
  int64_t total;    // units of work in all
  int64_t begun;    // of those, done by an earlier run
  double start_s, last_s;
  bool printed;
} esp_progress;

void esp_progress_init(esp_progress *self, const char *what, const char *unit, int64_t total);
/* Tell how much is done; note (NULL or short text) is printed behind the rate. Local. */
void esp_progress_update(esp_progress *self, int64_t done, const char *note);
void esp_progress_clear(esp_progress *self);

ESP_C_END

#endif
