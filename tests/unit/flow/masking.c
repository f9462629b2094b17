/* Which tokens a masked model has to find. */
#include "unit.h"

#include "espalier/flow/masking.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 100, SAMPLES = 400, TOKENS = SAMPLES * WIDTH, VOCABULARY = 50, MASK = 4 };

static const int32_t special[2] = {0, 7};

static esp_masking new_masking(double rate) {
  return (esp_masking){.rate = rate,
                       .token = MASK,
                       .vocabulary = VOCABULARY,
                       .special = special,
                       .n_special = 2,
                       .seed = 3,
                       .pass = 1};
}

/* The data: random tokens, and what masking makes of all of them. */
typedef struct example {
  int32_t data[TOKENS], seen[TOKENS], targets[TOKENS];
} example;

/* Mask `count` samples from `begin` on as one batch. lengths NULL: none is padded. */
static void mask_batch(const esp_masking *masking, example *self, int64_t begin, int64_t count,
                       const int32_t *lengths) {
  esp_batch_buffer buffer = {.tokens = ESP_NEW(int32_t, count * WIDTH), .capacity = count};
  esp_batch batch = {.kind = ESP_DATA_TOKENS,
                     .count = count,
                     .width = WIDTH,
                     .tokens = buffer.tokens,
                     .lengths = lengths};
  const size_t bytes = (size_t)(count * WIDTH) * sizeof(int32_t);
  memcpy(buffer.tokens, self->data + begin * WIDTH, bytes);
  for (int64_t s = 0; s < count; s++) esp_masking_apply(masking, begin + s, s, &buffer, &batch);
  assert_ptr_equal(batch.hidden, buffer.hidden);
  memcpy(self->seen + begin * WIDTH, buffer.tokens, bytes);
  memcpy(self->targets + begin * WIDTH, buffer.hidden, bytes);
  esp_batch_buffer_clear(&buffer);
}

static example *new_example(void) {
  example *self = ESP_NEW(example, 1);
  for (int i = 0; i < TOKENS; i++)
    self->data[i] = (int32_t)esp_rng_below(9, 0, (uint64_t)i, VOCABULARY);
  return self;
}

static bool is_special(int32_t token) {
  return token == special[0] || token == special[1];
}

/* count of n lies within 5 standard deviations of a binomial's mean. */
static void check_rate(int64_t count, int64_t n, double rate) {
  const double spread = sqrt((double)n * rate * (1.0 - rate));
  assert_true(fabs((double)count - (double)n * rate) < 5.0 * spread);
}

/* How often what happened. */
typedef struct counts {
  int64_t able, chosen, masked, kept, other;
} counts;

static counts count(const example *self) {
  counts found = {0};
  for (int i = 0; i < TOKENS; i++) {
    const bool is_chosen = self->targets[i] >= 0;
    found.able += !is_special(self->data[i]);
    found.chosen += is_chosen;
    found.masked += is_chosen && self->seen[i] == MASK;
    found.kept += is_chosen && self->seen[i] == self->data[i] && self->data[i] != MASK;
    found.other += is_chosen && self->seen[i] != MASK && self->seen[i] != self->data[i];
  }
  return found;
}

/* A random token is the mask, or the token itself, once in a vocabulary each. */
static void masking_follows_the_rates_of_bert(void **state) {
  (void)state;
  const esp_masking masking = new_masking(0.15);
  const double chance = 1.0 / VOCABULARY;
  example *self = new_example();
  mask_batch(&masking, self, 0, SAMPLES, NULL);
  const counts found = count(self);
  check_rate(found.chosen, found.able, 0.15);
  check_rate(found.masked, found.chosen, 0.8 + 0.1 * chance + 0.1 * chance);
  check_rate(found.kept, found.chosen, (0.1 + 0.1 * chance) * (1.0 - chance));
  check_rate(found.other, found.chosen, 0.1 * (1.0 - chance) * (1.0 - chance));
  esp_free(&self);
}

static void masking_replaces_by_all_tokens_of_the_vocabulary(void **state) {
  (void)state;
  const esp_masking masking = new_masking(0.5);
  int64_t times[VOCABULARY] = {0};
  example *self = new_example();
  mask_batch(&masking, self, 0, SAMPLES, NULL);
  for (int i = 0; i < TOKENS; i++) {
    assert_true(self->seen[i] >= 0 && self->seen[i] < VOCABULARY);
    if (self->targets[i] >= 0 && self->seen[i] != self->data[i]) times[self->seen[i]]++;
  }
  for (int t = 0; t < VOCABULARY; t++) assert_true(times[t] > 0);
  esp_free(&self);
}

/* What was not chosen stays; what was is the target. */
static void masking_leaves_the_rest_and_special_tokens(void **state) {
  (void)state;
  const esp_masking masking = new_masking(0.9);
  example *self = new_example();
  mask_batch(&masking, self, 0, SAMPLES, NULL);
  for (int i = 0; i < TOKENS; i++) {
    if (is_special(self->data[i])) assert_int_equal(self->targets[i], -1);
    if (self->targets[i] < 0)
      assert_int_equal(self->seen[i], self->data[i]);
    else
      assert_int_equal(self->targets[i], self->data[i]);
  }
  esp_free(&self);
}

static void masking_is_the_same_however_samples_are_dealt(void **state) {
  (void)state;
  const esp_masking masking = new_masking(0.15);
  example *whole = new_example(), *parts = new_example();
  mask_batch(&masking, whole, 0, SAMPLES, NULL);
  for (int64_t begin = SAMPLES - 7; begin > -7; begin -= 7) // from the end, the first one short
    mask_batch(&masking, parts, begin < 0 ? 0 : begin, begin < 0 ? begin + 7 : 7, NULL);
  assert_memory_equal(whole, parts, sizeof *whole);
  esp_free(&whole);
  esp_free(&parts);
}

static int64_t count_both(const example *a, const example *b) {
  int64_t n = 0;
  for (int i = 0; i < TOKENS; i++) n += a->targets[i] >= 0 && b->targets[i] >= 0;
  return n;
}

/* Two independent draws have rate^2 of the tokens in common. */
static void masking_draws_anew_for_every_pass_and_seed(void **state) {
  (void)state;
  const esp_masking masking = new_masking(0.15);
  example *first = new_example(), *other = new_example();
  mask_batch(&masking, first, 0, SAMPLES, NULL);
  const int64_t able = count(first).able;
  for (int i = 0; i < 3; i++) {
    esp_masking changed = masking;
    changed.pass += i < 2 ? (uint64_t)i + 1 : 0;
    changed.seed += i == 2;
    mask_batch(&changed, other, 0, SAMPLES, NULL);
    check_rate(count_both(first, other), able, 0.15 * 0.15);
  }
  esp_free(&first);
  esp_free(&other);
}

/* Where the draw chose nothing, the first token that may be chosen. */
static void masking_chooses_one_token_at_least(void **state) {
  (void)state;
  const esp_masking masking = new_masking(1e-12);
  example *self = new_example();
  self->data[0] = special[1], self->data[1] = special[0], self->data[2] = 9;
  mask_batch(&masking, self, 0, 1, NULL);
  assert_int_equal(self->targets[2], 9);
  assert_int_equal(self->seen[2], MASK);
  for (int t = 0; t < WIDTH; t++)
    if (t != 2) assert_true(self->targets[t] == -1 && self->seen[t] == self->data[t]);
  esp_free(&self);
}

static void masking_of_special_tokens_alone_chooses_none(void **state) {
  (void)state;
  const esp_masking masking = new_masking(1.0);
  example *self = new_example();
  for (int t = 0; t < WIDTH; t++) self->data[t] = special[t % 2];
  mask_batch(&masking, self, 0, 1, NULL);
  for (int t = 0; t < WIDTH; t++) assert_int_equal(self->targets[t], -1);
  assert_memory_equal(self->seen, self->data, WIDTH * sizeof(int32_t));
  esp_free(&self);
}

static void masking_leaves_padding_alone(void **state) {
  (void)state;
  static const int32_t lengths[2] = {30, 1};
  const esp_masking masking = new_masking(1.0);
  example *self = new_example();
  self->data[WIDTH] = 9;
  mask_batch(&masking, self, 0, 2, lengths);
  for (int i = 0; i < 2 * WIDTH; i++) {
    const bool is_there = i % WIDTH < lengths[i / WIDTH] && !is_special(self->data[i]);
    assert_true((self->targets[i] >= 0) == is_there);
    if (!is_there) assert_int_equal(self->seen[i], self->data[i]);
  }
  esp_free(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(masking_follows_the_rates_of_bert),
              cmocka_unit_test(masking_replaces_by_all_tokens_of_the_vocabulary),
              cmocka_unit_test(masking_leaves_the_rest_and_special_tokens),
              cmocka_unit_test(masking_is_the_same_however_samples_are_dealt),
              cmocka_unit_test(masking_draws_anew_for_every_pass_and_seed),
              cmocka_unit_test(masking_chooses_one_token_at_least),
              cmocka_unit_test(masking_of_special_tokens_alone_chooses_none),
              cmocka_unit_test(masking_leaves_padding_alone))
