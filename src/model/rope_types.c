/* Frequencies of each rope_type, in the float32 steps of transformers' modeling_rope_utils.py. */
#include "rope_types.h"

#include "transformer.h"

#include <math.h>

static const float two_pi = 6.28318530717958647692f;

bool rope_has(const json_t *object, const char *key) {
  const json_t *found = json_object_get(object, key);
  return found && !json_is_null(found);
}

esp_status rope_read_positive(const json_t *object, const char *key, double *value) {
  ESP_TRY(esp_config_get_real(object, key, value));
  if (*value > 0.0 && isfinite(*value)) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected '%s' of the rotary embedding > 0, found %g",
                  key, *value);
}

static float compute_period(const rope *self, double theta, int64_t i) {
  return (float)pow(theta, (double)((float)(2 * i) / (float)self->head_size));
}

static float compute_default(const rope *self, int64_t length, int64_t i) {
  (void)length;
  return 1.0f / compute_period(self, self->theta, i);
}

static esp_status read_linear(const rope_source *source, rope *self) {
  return rope_read_positive(source->parameters, "factor", &self->factor);
}

static float compute_linear(const rope *self, int64_t length, int64_t i) {
  return compute_default(self, length, i) / (float)self->factor;
}

/* Of whole heads the same as linear, where the factor may be left out. */
static esp_status read_proportional(const rope_source *source, rope *self) {
  self->factor = 1.0;
  return rope_has(source->parameters, "factor") ? read_linear(source, self) : ESP_OK;
}

/* A top-level original_max_position_embeddings wins, as in transformers. */
static esp_status read_original(const rope_source *source, rope *self) {
  static const char key[] = "original_max_position_embeddings";
  self->original = (double)self->positions;
  if (rope_has(source->config, key))
    return rope_read_positive(source->config, key, &self->original);
  if (rope_has(source->parameters, key))
    return rope_read_positive(source->parameters, key, &self->original);
  return ESP_OK;
}

static esp_status read_llama3(const rope_source *source, rope *self) {
  ESP_TRY(read_linear(source, self));
  ESP_TRY(rope_read_positive(source->parameters, "low_freq_factor", &self->low));
  ESP_TRY(rope_read_positive(source->parameters, "high_freq_factor", &self->high));
  ESP_TRY(read_original(source, self));
  if (self->high > self->low) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "configuration: expected high_freq_factor above low_freq_factor, found "
                  "%g and %g",
                  self->high, self->low);
}

/* Long waves are slowed down by factor, short ones kept, those between blended (Llama 3.1). */
static float compute_llama3(const rope *self, int64_t length, int64_t i) {
  const float factor = (float)self->factor, low = (float)self->low, high = (float)self->high;
  const float original = (float)self->original, frequency = compute_default(self, length, i);
  const float wave = two_pi / frequency;
  if (wave > original / low) return frequency / factor;
  if (wave < original / high) return frequency;
  const float smooth = (original / wave - low) / (high - low);
  return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

static esp_status read_dynamic(const rope_source *source, rope *self) {
  ESP_TRY(read_linear(source, self));
  if (self->head_size > 2) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected head_dim above 2 for rope_type 'dynamic'");
}

/* NTK: theta grows with the sequence once that is longer than max_position_embeddings. */
static float compute_dynamic(const rope *self, int64_t length, int64_t i) {
  const double n = (double)self->head_size;
  if (length <= self->positions) return compute_default(self, length, i);
  const float reach = (float)self->factor * (float)length / (float)self->positions;
  const float growth = powf(reach - (float)(self->factor - 1.0), (float)(n / (n - 2.0)));
  return 1.0f / compute_period(self, (double)((float)self->theta * growth), i);
}

/* As given, else by the ratio of the positions after and before scaling. */
static esp_status read_factor(const rope_source *source, rope *self) {
  ESP_TRY(read_original(source, self));
  self->factor = (double)self->positions / self->original;
  return rope_has(source->parameters, "factor") ? read_linear(source, self) : ESP_OK;
}

static double compute_mscale(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * log(factor) + 1.0;
}

/* YaRN, Peng et al. 2023, and DeepSeek's two factors. */
static esp_status read_yarn_attention(const rope_source *source, rope *self) {
  double mscale = 0.0, all = 0.0;
  ESP_TRY(tf_get_real_or(source->parameters, "mscale", &mscale));
  ESP_TRY(tf_get_real_or(source->parameters, "mscale_all_dim", &all));
  self->attention = compute_mscale(self->factor, 1.0);
  if (mscale != 0.0 && all != 0.0)
    self->attention = compute_mscale(self->factor, mscale) / compute_mscale(self->factor, all);
  return tf_get_real_or(source->parameters, "attention_factor", &self->attention);
}

/* The pair that turns so often within the original positions. */
static double find_pair(const rope *self, double turns) {
  return (double)self->head_size * log(self->original / (turns * 2.0 * acos(-1.0))) /
         (2.0 * log(self->theta));
}

static esp_status read_turns(const rope_source *source, const char *key, double otherwise,
                             double *turns) {
  *turns = otherwise;
  ESP_TRY(tf_get_real_or(source->parameters, key, turns));
  if (fpclassify(*turns) == FP_ZERO) *turns = otherwise;
  if (*turns > 0.0) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected '%s' of the rotary embedding > 0, found %g",
                  key, *turns);
}

static esp_status read_yarn(const rope_source *source, rope *self) {
  double fast, slow;
  bool is_whole = !json_is_null(json_object_get(source->parameters, "truncate"));
  ESP_TRY(read_factor(source, self));
  ESP_TRY(read_yarn_attention(source, self));
  ESP_TRY(read_turns(source, "beta_fast", 32.0, &fast));
  ESP_TRY(read_turns(source, "beta_slow", 1.0, &slow));
  ESP_TRY(tf_get_flag_or(source->parameters, "truncate", &is_whole));
  const double low = find_pair(self, fast), high = find_pair(self, slow);
  self->low = fmax(is_whole ? floor(low) : low, 0.0);
  self->high = fmin(is_whole ? ceil(high) : high, (double)self->head_size - 1.0);
  if (!(self->low < self->high || self->low > self->high)) self->high += 0.001;
  return ESP_OK;
}

/* Fast pairs are kept, slow ones slowed down by factor, those between blended. */
static float compute_yarn(const rope *self, int64_t length, int64_t i) {
  (void)length;
  const float period = compute_period(self, self->theta, i);
  const float place = ((float)i - (float)self->low) / (float)(self->high - self->low);
  const float kept = 1.0f - fminf(fmaxf(place, 0.0f), 1.0f);
  return 1.0f / ((float)self->factor * period) * (1.0f - kept) + 1.0f / period * kept;
}

static esp_status read_factors(const rope_source *source, const char *key, const rope *self,
                               const json_t **list) {
  const int64_t n = self->head_size / 2;
  *list = json_object_get(source->parameters, key);
  bool are_numbers = json_is_array(*list) && (int64_t)json_array_size(*list) == n;
  for (int64_t i = 0; i < n && are_numbers; i++)
    are_numbers = json_number_value(json_array_get(*list, (size_t)i)) > 0.0;
  if (are_numbers) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "configuration: expected %lld numbers > 0 in '%s' of the rotary embedding",
                  (long long)n, key);
}

/* LongRoPE, Ding et al. 2024. */
static esp_status read_longrope(const rope_source *source, rope *self) {
  ESP_TRY(read_factors(source, "short_factor", self, &self->factors[0]));
  ESP_TRY(read_factors(source, "long_factor", self, &self->factors[1]));
  ESP_TRY(read_factor(source, self));
  if (self->factor > 1.0) self->attention = sqrt(1.0 + log(self->factor) / log(self->original));
  return tf_get_real_or(source->parameters, "attention_factor", &self->attention);
}

static float compute_longrope(const rope *self, int64_t length, int64_t i) {
  const json_t *factors = self->factors[(double)length > self->original];
  const float factor = (float)json_number_value(json_array_get(factors, (size_t)i));
  return 1.0f / (factor * compute_period(self, self->theta, i));
}

const rope_type rope_types[] = {
    {"default", NULL, compute_default, false},
    {"linear", read_linear, compute_linear, false},
    {"proportional", read_proportional, compute_linear, false},
    {"llama3", read_llama3, compute_llama3, false},
    {"dynamic", read_dynamic, compute_dynamic, true},
    {"yarn", read_yarn, compute_yarn, false},
    {"longrope", read_longrope, compute_longrope, false},
    {NULL, NULL, NULL, false},
};
