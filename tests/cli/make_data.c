/* Write a learnable image data set in IDX form: every class has a random picture, every image is
 * its class's picture under noise. usage: make_data FOLDER SIDE CLASSES TRAIN TEST */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_PIXELS = 1024, MAX_CLASSES = 16, NOISE = 160 };

static uint8_t pictures[MAX_CLASSES][MAX_PIXELS];
static uint32_t state = 12345;

static int draw(int below) {
  state = state * 1664525u + 1013904223u;
  return (int)((state >> 8) % (uint32_t)below);
}

static void put_word(FILE *to, int word) {
  for (int shift = 24; shift >= 0; shift -= 8) fputc(word >> shift & 0xFF, to);
}

static FILE *open_file(const char *folder, const char *prefix, const char *what) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s-%s-ubyte", folder, prefix, what);
  FILE *file = fopen(path, "wb");
  if (file) return file;
  perror(path);
  exit(1);
}

static void put_image(FILE *to, const uint8_t *picture, int pixels) {
  for (int i = 0; i < pixels; i++) {
    const int value = picture[i] + draw(NOISE) - NOISE / 2;
    fputc(value < 0 ? 0 : value > 255 ? 255 : value, to);
  }
}

static void write_split(char **argv, const char *prefix, int count) {
  const int side = atoi(argv[2]), classes = atoi(argv[3]);
  FILE *images = open_file(argv[1], prefix, "images-idx3");
  FILE *labels = open_file(argv[1], prefix, "labels-idx1");
  put_word(images, 0x803), put_word(images, count), put_word(images, side), put_word(images, side);
  put_word(labels, 0x801), put_word(labels, count);
  for (int i = 0; i < count; i++) {
    fputc(i % classes, labels);
    put_image(images, pictures[i % classes], side * side);
  }
  if (fclose(images) != 0 || fclose(labels) != 0) exit(1);
}

int main(int argc, char **argv) {
  if (argc != 6 || atoi(argv[2]) * atoi(argv[2]) > MAX_PIXELS || atoi(argv[3]) > MAX_CLASSES)
    return 2;
  for (int c = 0; c < MAX_CLASSES; c++)
    for (int i = 0; i < MAX_PIXELS; i++) pictures[c][i] = (uint8_t)(64 + draw(128));
  write_split(argv, "train", atoi(argv[4]));
  write_split(argv, "t10k", atoi(argv[5]));
  return 0;
}
