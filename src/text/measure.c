#include "unicode.h"

#include "espalier/text/tokenizer.h"

static int64_t count_words(span text) {
  int64_t words = 0;
  bool was_space = true;
  for (int64_t i = 0; i < text.count; i += utf8_length((unsigned char)text.bytes[i])) {
    const bool is_space = unicode_is_space(utf8_read(text.bytes + i));
    if (was_space && !is_space) words++;
    was_space = is_space;
  }
  return words;
}

esp_text_size esp_text_measure(const char *text, int64_t bytes) {
  buffer repaired = {0};
  utf8_add_repaired(&repaired, (span){text, bytes});
  const esp_text_size size = {count_words(buffer_span(&repaired)), repaired.count};
  buffer_clear(&repaired);
  return size;
}
