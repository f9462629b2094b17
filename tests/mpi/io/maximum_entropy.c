#include "mpi.h"

#include "espalier/io/dataset.h"

#include <stdlib.h>
#include <string.h>

enum { COUNT = 400, WIDTH = 50, VOCABULARY = 7 };

static esp_dataset *new_data(esp_data_kind kind, uint64_t seed) {
  return esp_dataset_new_maximum_entropy(
      &(esp_entropy_input){kind, COUNT, WIDTH, VOCABULARY, seed});
}

static void maximum_entropy_draws_every_token_equally_often(void **state) {
  (void)state;
  esp_dataset *data = new_data(ESP_DATA_TOKENS, 1);
  esp_batch_buffer buffer = {0};
  esp_batch batch;
  int count[VOCABULARY] = {0}, others = 0;
  esp_dataset_read(data, NULL, 0, COUNT, &buffer, &batch);
  for (int i = 0; i < COUNT * WIDTH; i++) {
    const bool fits = batch.tokens[i] >= 0 && batch.tokens[i] < VOCABULARY;
    others += !fits;
    if (fits) count[batch.tokens[i]]++;
  }
  ASSERT_ALL(others == 0);
  const int mean = COUNT * WIDTH / VOCABULARY; // standard deviation 49
  for (int t = 0; t < VOCABULARY; t++) ASSERT_ALL(abs(count[t] - mean) < 250);
  ASSERT_ALL(!batch.labels && !batch.lengths && data->classes == 0);
  esp_batch_buffer_clear(&buffer);
  esp_dataset_close(&data);
}

/* Of pixels that are on the mean is 1/2; their part of an image is uniform: mean 1/2, variance
 * 1/12 + 1/(6 WIDTH). */
static void maximum_entropy_images_have_uniform_density(void **state) {
  (void)state;
  esp_dataset *data = new_data(ESP_DATA_IMAGES, 1);
  esp_batch_buffer buffer = {0};
  esp_batch batch;
  double on = 0.0, value = 0.0, squares = 0.0;
  int others = 0;
  esp_dataset_read(data, NULL, 0, COUNT, &buffer, &batch);
  for (int s = 0; s < COUNT; s++) {
    double here = 0.0;
    for (int i = s * WIDTH; i < (s + 1) * WIDTH; i++) {
      others += !(batch.pixels[i] >= 0.0f && batch.pixels[i] <= 1.0f);
      here += batch.pixels[i] > 0.0f;
      value += (double)batch.pixels[i];
    }
    on += here;
    squares += here * here / WIDTH / WIDTH;
  }
  ASSERT_ALL(others == 0);
  const double mean = on / (COUNT * WIDTH), variance = squares / COUNT - mean * mean;
  ASSERT_ALL(mean > 0.43 && mean < 0.57 && value / on > 0.47 && value / on < 0.53);
  ASSERT_ALL(variance > 0.065 && variance < 0.11);
  esp_batch_buffer_clear(&buffer);
  esp_dataset_close(&data);
}

/* A sample is a function of the seed and its number, whatever is read with it. */
static void maximum_entropy_samples_do_not_depend_on_the_batch(void **state) {
  (void)state;
  esp_dataset *data = new_data(ESP_DATA_TOKENS, 3);
  esp_batch_buffer one = {0}, two = {0};
  esp_batch all, some;
  const int64_t order[] = {9, 4};
  esp_dataset_read(data, NULL, 0, 10, &one, &all);
  esp_dataset_read(data, order, 0, 2, &two, &some);
  const size_t bytes = WIDTH * sizeof(int32_t);
  ASSERT_ALL(memcmp(all.tokens + 9 * WIDTH, some.tokens, bytes) == 0);
  ASSERT_ALL(memcmp(all.tokens + 4 * WIDTH, some.tokens + WIDTH, bytes) == 0);
  ASSERT_ALL(memcmp(some.tokens, some.tokens + WIDTH, bytes) != 0);
  esp_batch_buffer_clear(&one);
  esp_batch_buffer_clear(&two);
  esp_dataset_close(&data);
}

static void maximum_entropy_fingerprint_tells_seeds_and_kinds_apart(void **state) {
  (void)state;
  esp_dataset *data[] = {new_data(ESP_DATA_TOKENS, 1), new_data(ESP_DATA_TOKENS, 1),
                         new_data(ESP_DATA_TOKENS, 2), new_data(ESP_DATA_IMAGES, 1)};
  ASSERT_ALL(data[0]->fingerprint == data[1]->fingerprint);
  ASSERT_ALL(data[0]->fingerprint != data[2]->fingerprint);
  ASSERT_ALL(data[0]->fingerprint != data[3]->fingerprint);
  for (unsigned i = 0; i < ESP_COUNT(data); i++) esp_dataset_close(&data[i]);
}

ESP_TEST_MAIN(cmocka_unit_test(maximum_entropy_draws_every_token_equally_often),
              cmocka_unit_test(maximum_entropy_images_have_uniform_density),
              cmocka_unit_test(maximum_entropy_samples_do_not_depend_on_the_batch),
              cmocka_unit_test(maximum_entropy_fingerprint_tells_seeds_and_kinds_apart))
