/* Samples of one bin, packed together. */
#include "unit.h"

#include "espalier/information/joint.h"

#include <string.h>

enum { UNITS = 5, BINS = 4, WORDS = 7, SAMPLES = WORDS * 64 - 19 };

static int code_of(int64_t unit, int64_t sample) {
  return (int)esp_rng_below(3, (uint64_t)unit, (uint64_t)sample, BINS);
}

static bool get_bit(const esp_planes *planes, int64_t unit, int plane, int64_t at) {
  return planes->words[(unit * (planes->bins - 1) + plane) * planes->stride + at / 64] >> at % 64 &
         1;
}

static esp_planes make_planes(void) {
  esp_planes planes;
  esp_planes_init(&planes, UNITS, BINS, WORDS);
  for (int64_t u = 0; u < UNITS; u++)
    for (int a = 0; a < BINS - 1; a++)
      for (int64_t s = 0; s < SAMPLES; s++)
        if (code_of(u, s) > a)
          planes.words[(u * (BINS - 1) + a) * WORDS + s / 64] |= UINT64_C(1) << s % 64;
  return planes;
}

/* Every sample under the mask, in order, and nothing else. */
static void check_pack(const uint64_t *mask) {
  esp_planes planes = make_planes(), packed;
  int64_t n = 0;
  esp_planes_pack(&planes, mask, &packed);
  for (int64_t s = 0; s < WORDS * 64; s++) {
    if (!(mask[s / 64] >> s % 64 & 1)) continue;
    for (int64_t u = 0; u < UNITS; u++)
      for (int a = 0; a < BINS - 1; a++)
        assert_int_equal(get_bit(&packed, u, a, n), get_bit(&planes, u, a, s));
    n++;
  }
  assert_int_equal(packed.n_words, (n + 63) / 64);
  for (; n < packed.n_words * 64; n++)
    for (int64_t u = 0; u < UNITS; u++)
      for (int a = 0; a < BINS - 1; a++) assert_false(get_bit(&packed, u, a, n));
  esp_planes_clear(&planes);
  esp_planes_clear(&packed);
}

static void planes_pack_keeps_the_samples_under_the_mask(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++) {
    uint64_t mask[WORDS];
    for (uint64_t w = 0; w < WORDS; w++) {
      mask[w] = esp_rng_below(seed, 1, w, UINT64_MAX);
      for (uint64_t thin = 0; thin < seed % 4; thin++)
        mask[w] &= esp_rng_below(seed, 2 + thin, w, UINT64_MAX);
    }
    check_pack(mask);
  }
}

static void planes_pack_takes_all_and_nothing(void **state) {
  (void)state;
  uint64_t mask[WORDS] = {0};
  check_pack(mask);
  mask[3] = UINT64_C(1) << 63;
  check_pack(mask);
  memset(mask, 0xff, sizeof mask);
  check_pack(mask);
}

static void mask_bin_marks_the_samples_of_the_bin(void **state) {
  (void)state;
  esp_planes planes = make_planes();
  for (int bin = 0; bin < BINS; bin++) {
    uint64_t mask[WORDS];
    esp_mask_bin(&planes, 2, bin, mask);
    for (int64_t s = 0; s < SAMPLES; s++)
      assert_int_equal(mask[s / 64] >> s % 64 & 1, code_of(2, s) == bin);
  }
  esp_planes_clear(&planes);
}

ESP_TEST_MAIN(cmocka_unit_test(planes_pack_keeps_the_samples_under_the_mask),
              cmocka_unit_test(planes_pack_takes_all_and_nothing),
              cmocka_unit_test(mask_bin_marks_the_samples_of_the_bin))
