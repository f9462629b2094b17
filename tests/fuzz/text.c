/* Text, by tokenizers of every kind: the same ids whether words were seen before or not; and text
 * that was valid, of a byte-level model, comes back. The first byte says which tokenizer. */
#include "fuzz.h"

#include "espalier/core/memory.h"
#include "espalier/text/tokenizer.h"

#include <stdio.h>
#include <string.h>

/* Small files of each kind: tests/fuzz/corpus/tokenizer has them too. */
static const char *const files[] = {
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{\"type\":"
    "\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{%s,\"ab\":256,\"abab\":257,\"\xC4\xA0"
    "a\":258},\"merges\":[\"a b\",\"ab ab\",\"\xC4\xA0 a\"]}}",
    "{\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"lstrip\":true,\"rstrip\":true,\"special\":"
    "true}],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":"
    "\"BertNormalizer\"}]},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":"
    "\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_"
    "per_word\":9,\"vocab\":{\"[UNK]\":0,\"a\":1,\"##b\":2}}}",
    "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\"},\"model\":{"
    "\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"ab\",-1.5],[\"\xE2"
    "\x96\x81\",-2],[\"b\",-3]]}}",
    "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":"
    "\"_\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\"_\"}]},"
    "\"model\":"
    "{\"type\":\"BPE\",\"unk_token\":\"?\",\"fuse_unk\":true,\"vocab\":{\"?\":0,\"_\":1,\"a\":2,"
    "\"_a\":3},\"merges\":[[\"_\",\"a\"]]}}",
    "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"
    "\"Regex\":\"(?i:'s|'t)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}|\\\\s+(?!\\\\S)|"
    "\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"Digits\"},{\"type\":"
    "\"Punctuation\"}]},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}"};
enum { FILES = sizeof files / sizeof *files };
static esp_tokenizer *tokenizers[FILES];

/* All characters that stand for bytes, as members of the vocabulary. */
static void write_alphabet(char *to) {
  int next = 0x100;
  for (int byte = 0; byte < 256; byte++) {
    const bool is_own = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    const int c = is_own ? byte : next++;
    char text[3] = {(char)c, 0, 0};
    if (c >= 0x80) snprintf(text, sizeof text, "%c%c", 0xC0 | c >> 6, 0x80 | (c & 0x3F));
    to += sprintf(to, "%s\"%s%s\":%d", byte > 0 ? "," : "", c == '"' || c == '\\' ? "\\" : "", text,
                  byte);
  }
}

void fuzz_start(void) {
  char alphabet[1 << 13];
  write_alphabet(alphabet);
  for (int i = 0; i < FILES; i++) {
    char *json = esp_format(files[i], alphabet);
    ESP_ASSERT(esp_tokenizer_new(json, (int64_t)strlen(json), "file", &tokenizers[i]) == ESP_OK);
    esp_free(&json);
  }
}

/* Twice the same: the second time from what was remembered. */
static void compare(esp_tokenizer *tokenizer, const fuzz_input *input, esp_token_ids *ids) {
  esp_token_ids again = {0};
  const char *text = (const char *)input->data;
  const esp_status status = esp_tokenizer_encode(tokenizer, text, (int64_t)input->size, false, ids);
  ESP_ASSERT(esp_tokenizer_encode(tokenizer, text, (int64_t)input->size, false, &again) == status);
  if (!fuzz_is_ok(status)) ids->count = again.count = 0;
  ESP_ASSERT(again.count == ids->count);
  for (int64_t i = 0; i < ids->count; i++) ESP_ASSERT(again.id[i] == ids->id[i]);
  esp_token_ids_clear(&again);
}

static void go_back(int which, const fuzz_input *input, const esp_token_ids *ids) {
  char *text;
  int64_t bytes;
  ESP_ASSERT(esp_tokenizer_decode(tokenizers[which], ids->id, ids->count, true, &text, &bytes) ==
             ESP_OK);
  const esp_text_size size = esp_text_measure((const char *)input->data, (int64_t)input->size);
  if (which == 0) ESP_ASSERT(size.bytes == bytes);
  if (which == 0 && size.bytes == (int64_t)input->size && memchr(text, 0xEF, (size_t)bytes) == NULL)
    ESP_ASSERT(memcmp(text, input->data, (size_t)bytes) == 0);
  esp_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input input = {data, size};
  esp_token_ids ids = {0};
  const int which = fuzz_take(&input) % FILES;
  compare(tokenizers[which], &input, &ids);
  go_back(which, &input, &ids);
  esp_token_ids_clear(&ids);
  return 0;
}
