/* A test for each of the checkpoints that have references of transformers: every family and option,
 * tiny, and the trained models. The test's state is the folder. */
#ifndef ESPALIER_TESTS_CHECKPOINTS_H
#define ESPALIER_TESTS_CHECKPOINTS_H

#define CHECKPOINT(test, folder, name) \
  { name, test, NULL, NULL, (void *)(uintptr_t)(folder name) }
#define TINY(test, name) CHECKPOINT(test, ESPALIER_TESTS "/golden/transformers/", name)
#define TRAINED(test, name) CHECKPOINT(test, ESPALIER_TESTS "/models/", name)

#define CHECKPOINT_TESTS(test)                                                                   \
  TINY(test, "llama-mha-f32"), TINY(test, "llama-gqa-linear-bf16"),                              \
      TINY(test, "llama-llama3-sharded-bf16"), TINY(test, "llama-bias-f16"),                     \
      TINY(test, "llama-v4-llama3-bf16"), TINY(test, "llama-v4-linear-f16"),                     \
      TINY(test, "llama-yarn-bf16"), TINY(test, "llama-v4-yarn-bf16"),                           \
      TINY(test, "llama-dynamic-bf16"), TINY(test, "llama-longrope-bf16"),                       \
      TINY(test, "llama-v4-longrope-bf16"), TINY(test, "llama-encoder-bf16"),                    \
      TINY(test, "llama-reward-bf16"), TINY(test, "llama-tokens-bf16"),                          \
      TINY(test, "llama-answers-bf16"), TINY(test, "mistral-bf16"),                              \
      TINY(test, "mistral-window-bf16"), TINY(test, "mistral-bidirectional-bf16"),               \
      TINY(test, "qwen2-bf16"), TINY(test, "qwen2-v4-f32"), TINY(test, "qwen2-window-v4-bf16"),  \
      TINY(test, "qwen2-classifier-bf16"), TINY(test, "qwen3-f32"),                              \
      TINY(test, "qwen3-bias-tied-bf16"), TINY(test, "qwen3-window-types-bf16"),                 \
      TINY(test, "gpt2-f32"), TINY(test, "gpt2-inner-sharded-bf16"), TINY(test, "gpt2-hub-f16"), \
      TINY(test, "gpt2-aliases-bf16"), TINY(test, "gpt2-encoder-bf16"),                          \
      TINY(test, "gpt2-classifier-bf16"), TINY(test, "gpt2-tokens-bf16"),                        \
      TINY(test, "bert-encoder-pooler-f32"), TINY(test, "bert-encoder-bf16"),                    \
      TINY(test, "bert-classifier-f32"), TINY(test, "bert-classifier-sharded-f16"),              \
      TINY(test, "bert-mlm-f16"), TINY(test, "bert-mlm-untied-bf16"),                            \
      TINY(test, "bert-mlm-hub-f32"), TINY(test, "bert-tokens-bf16"),                            \
      TINY(test, "bert-answers-bf16"), TINY(test, "bert-mlm-unbiased-bf16"),                     \
      TINY(test, "bert-regression-f32"), TINY(test, "bert-multi-label-bf16"),                    \
      TRAINED(test, "llama"), TRAINED(test, "gpt2"), TRAINED(test, "bert")

#endif
