#include "core/runtime/tokenizer/tokenizer_to_json.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/runtime/tokenizer/pretokenizer_names.h"
#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {
namespace {

using nlohmann::json;

constexpr std::string_view kSpaceMark = "\u2581";

struct GgufVocabulary {
  std::span<const std::string_view> tokens;
  std::vector<std::int64_t> types;  // TokenType, one a token
};

Result<GgufVocabulary> read_vocabulary(const Metadata& metadata) {
  GgufVocabulary vocabulary;
  MLXR_ASSIGN_OR_RETURN(vocabulary.tokens, metadata.require_strings("tokenizer.ggml.tokens"));
  vocabulary.types = metadata.get_ints("tokenizer.ggml.token_type").value_or(std::vector<std::int64_t>{});
  vocabulary.types.resize(vocabulary.tokens.size(), static_cast<std::int64_t>(TokenType::kNormal));
  return vocabulary;
}

json added_tokens(const GgufVocabulary& vocabulary) {
  json added = json::array();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto type = static_cast<TokenType>(vocabulary.types[id]);
    const bool special = type == TokenType::kControl || type == TokenType::kUnknown;
    if (!special && type != TokenType::kUserDefined) continue;
    added.push_back({{"id", id},
                     {"content", vocabulary.tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", special}});
  }
  return added;
}

json vocab_object(const GgufVocabulary& vocabulary) {
  json vocab = json::object();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    vocab[std::string(vocabulary.tokens[id])] = id;
  return vocab;
}

// BOS in front where the model adds it.
json post_processor(const Metadata& metadata, const GgufVocabulary& vocabulary, bool adds_bos_by_default) {
  const auto bos = metadata.get_uint("tokenizer.ggml.bos_token_id");
  if (!metadata.get_bool("tokenizer.ggml.add_bos_token").value_or(adds_bos_by_default)) return nullptr;
  if (!bos || *bos >= vocabulary.tokens.size()) return nullptr;
  const std::string piece(vocabulary.tokens[*bos]);
  const json special = {{"SpecialToken", {{"id", piece}, {"type_id", 0}}}};
  const json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const json second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  return {{"type", "TemplateProcessing"},
          {"single", {special, sequence}},
          {"pair", {special, sequence, special, second}},
          {"special_tokens", {{piece, {{"id", piece}, {"ids", {*bos}}, {"tokens", {piece}}}}}}};
}

json document(const GgufVocabulary& vocabulary) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"normalizer", nullptr},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"added_tokens", added_tokens(vocabulary)}};
}

json bpe_model(const GgufVocabulary& vocabulary, json merges) {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", vocab_object(vocabulary)},
          {"merges", std::move(merges)}};
}

Result<json> byte_level_json(const Metadata& metadata, const GgufVocabulary& vocabulary) {
  MLXR_ASSIGN_OR_RETURN(const auto merges, metadata.require_strings("tokenizer.ggml.merges"));
  const std::string pre(metadata.get_string("tokenizer.ggml.pre").value_or("default"));
  const PreTokenizerRow* row = find_pre_tokenizer(pre);
  if (row == nullptr) return unsupported(fmt::format("pre-tokenizer \"{}\" is unknown", pre));
  json steps = json::array();
  for (const std::string_view pattern : row->patterns) {
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  steps.push_back(byte_level);
  json out = document(vocabulary);
  out["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
  out["post_processor"] = post_processor(metadata, vocabulary, row->add_bos);
  out["decoder"] = byte_level;
  out["model"] = bpe_model(vocabulary, json(std::vector<std::string>(merges.begin(), merges.end())));
  out["model"]["ignore_merges"] = row->ignore_merges;
  return out;
}

// Every way to make a token of two others, best score first; of equal scores the parts that come first.
json merges_of_scores(const GgufVocabulary& vocabulary, std::span<const float> scores) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    ids.emplace(vocabulary.tokens[id], id);
  struct Split {
    float score;
    std::size_t left, right;
  };
  std::vector<Split> splits;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (static_cast<TokenType>(vocabulary.types[id]) != TokenType::kNormal) continue;
    const std::string_view piece = vocabulary.tokens[id];
    for (std::size_t cut = 1; cut < piece.size(); ++cut) {
      const auto left = ids.find(piece.substr(0, cut));
      const auto right = ids.find(piece.substr(cut));
      if (left != ids.end() && right != ids.end()) splits.push_back({scores[id], left->second, right->second});
    }
  }
  std::sort(splits.begin(), splits.end(), [](const Split& a, const Split& b) {
    return std::tuple(-a.score, a.left, a.right) < std::tuple(-b.score, b.left, b.right);
  });
  json merges = json::array();
  for (const Split& split : splits) {
    merges.push_back(std::string(vocabulary.tokens[split.left]) + " " + std::string(vocabulary.tokens[split.right]));
  }
  return merges;
}

Result<json> sentencepiece_json(const Metadata& metadata, const GgufVocabulary& vocabulary) {
  MLXR_ASSIGN_OR_RETURN(std::vector<float> scores, metadata.require_floats("tokenizer.ggml.scores"));
  scores.resize(vocabulary.tokens.size(), 0.0F);
  const bool prefix_space = metadata.get_bool("tokenizer.ggml.add_space_prefix").value_or(true);
  const json to_mark = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}};
  json normalizers = json::array({to_mark});
  json decoders = json::array({{{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}},
                               {{"type", "ByteFallback"}},
                               {{"type", "Fuse"}}});
  if (prefix_space) {
    normalizers.insert(normalizers.begin(), {{"type", "Prepend"}, {"prepend", kSpaceMark}});
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  json out = document(vocabulary);
  out["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::move(normalizers)}};
  out["post_processor"] = post_processor(metadata, vocabulary, true);
  out["decoder"] = {{"type", "Sequence"}, {"decoders", std::move(decoders)}};
  out["model"] = bpe_model(vocabulary, merges_of_scores(vocabulary, scores));
  out["model"]["byte_fallback"] = true;
  out["model"]["fuse_unk"] = true;
  const auto unknown = metadata.get_uint("tokenizer.ggml.unknown_token_id");
  if (unknown && *unknown < vocabulary.tokens.size()) out["model"]["unk_token"] = vocabulary.tokens[*unknown];
  return out;
}

}  // namespace

Result<json> tokenizer_to_json(const Metadata& metadata) {
  MLXR_ASSIGN_OR_RETURN(const std::string_view model, metadata.require_string("tokenizer.ggml.model"));
  MLXR_ASSIGN_OR_RETURN(const GgufVocabulary vocabulary, read_vocabulary(metadata));
  if (model == "gpt2") return byte_level_json(metadata, vocabulary);
  if (model == "llama") return sentencepiece_json(metadata, vocabulary);
  return unsupported(fmt::format("a tokenizer of kind \"{}\" has no tokenizer.json form", model));
}

}  // namespace mlxr
