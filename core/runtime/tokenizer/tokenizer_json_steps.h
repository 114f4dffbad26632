#pragma once
// The parts of a tokenizer.json around its model: normalizer, pre-tokenizer, post-processor, decoder. All errors name
// the path of the file and the field.

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "core/runtime/tokenizer/normalizer.h"
#include "core/runtime/tokenizer/pretokenizer.h"
#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

// Each takes the field's value; null means that there is nothing to do.
Result<Normalizer> parse_normalizer(const nlohmann::json& field, const std::string& path);

struct ParsedPreTokenizer {
  std::vector<PreTokenizerStep> steps;
  bool byte_level = false;  // pieces are bytes, spelled in the byte alphabet by the vocabulary
};
Result<ParsedPreTokenizer> parse_pre_tokenizer(const nlohmann::json& field, const std::string& path);

struct ParsedPostProcessor {
  bool present = false;  // a template says what goes around a text
  std::vector<TokenId> prefix;
  std::vector<TokenId> suffix;
};
Result<ParsedPostProcessor> parse_post_processor(const nlohmann::json& field, const std::string& path);

struct ParsedDecoder {
  bool byte_level = false;
  bool metaspace = false;            // U+2581 stands for the space
  bool strip_leading_space = false;  // one space goes from the start of a text
};
Result<ParsedDecoder> parse_decoder(const nlohmann::json& field, const std::string& path);

}  // namespace mlxr
