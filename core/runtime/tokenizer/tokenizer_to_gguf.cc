#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/runtime/tokenizer/merge_bpe.h"
#include "core/runtime/tokenizer/rank_bpe.h"
#include "core/runtime/tokenizer/special_token_keys.h"
#include "core/runtime/tokenizer/tokenizer_gguf.h"
#include "core/runtime/tokenizer/tokenizer_parts.h"

namespace mlxr {
namespace {

Status write_tokens(const TokenizerParts& parts, std::size_t vocab_size, Metadata& metadata) {
  const Vocabulary& vocabulary = *parts.vocabulary;
  if (vocab_size == 0) vocab_size = vocabulary.size();
  // Files may list more tokens than the model has rows for; only unused ones can go.
  for (std::size_t id = vocab_size; id < vocabulary.size(); ++id) {
    if (!vocabulary.token(static_cast<TokenId>(id)).piece.empty()) {
      return unsupported(fmt::format("the tokenizer has {} tokens, the model only {}", vocabulary.size(), vocab_size));
    }
  }
  std::vector<std::string> pieces(vocab_size);
  std::vector<std::int32_t> types(vocab_size, static_cast<std::int32_t>(TokenType::kUnused));
  for (std::size_t i = 0; i < vocab_size; ++i) {
    const auto id = static_cast<TokenId>(i);
    if (!vocabulary.contains(id) || vocabulary.token(id).piece.empty()) {
      pieces[i] = fmt::format("[PAD{}]", i);
      continue;
    }
    pieces[i] = vocabulary.token(id).piece;
    types[i] = static_cast<std::int32_t>(vocabulary.token(id).type);
  }
  metadata.set_strings("tokenizer.ggml.tokens", std::move(pieces));
  metadata.set_ints("tokenizer.ggml.token_type", std::move(types));
  return {};
}

std::vector<std::string> merge_texts(const Vocabulary& vocabulary, const std::vector<Merge>& merges) {
  std::vector<std::string> out;
  out.reserve(merges.size());
  for (const Merge& merge : merges)
    out.push_back(vocabulary.token(merge.left).piece + " " + vocabulary.token(merge.right).piece);
  return out;
}

// The merges that a rank vocabulary stands for: each token comes of the two that all tokens of lower rank leave of it.
std::vector<Merge> merges_of_ranks(const Vocabulary& vocabulary, const RankBpe& model) {
  std::vector<Merge> out;
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string& bytes = vocabulary.token(id).bytes;
    if (model.rank(id) == kNoRank || bytes.size() < 2) continue;
    Merge merge{.result = id};
    if (model.split_below(bytes, model.rank(id), merge.left, merge.right)) out.push_back(merge);
  }
  return out;
}

// SentencePiece ranks by score: a token that merges make scores by its first merge, the others come before them all.
std::vector<float> scores_of_merges(const TokenizerParts& parts, const MergeBpe& model, std::size_t count) {
  std::vector<float> scores(count, 0.0F);
  for (std::size_t i = model.merges().size(); i-- > 0;) {
    const auto result = static_cast<std::size_t>(model.merges()[i].result);
    if (result < count && parts.vocabulary->contains(model.merges()[i].result))
      scores[result] = -static_cast<float>(i + 1);
  }
  return scores;
}

Status write_byte_level(const TokenizerParts& parts, Metadata& metadata) {
  if (parts.pre_name.empty()) return unsupported("GGUF has no name for this tokenizer's pre-tokenizer");
  metadata.set_string("tokenizer.ggml.model", "gpt2");
  metadata.set_string("tokenizer.ggml.pre", parts.pre_name);
  if (const auto* merges = dynamic_cast<const MergeBpe*>(parts.model.get())) {
    metadata.set_strings("tokenizer.ggml.merges", merge_texts(*parts.vocabulary, merges->merges()));
  } else if (const auto* ranks = dynamic_cast<const RankBpe*>(parts.model.get())) {
    metadata.set_strings("tokenizer.ggml.merges",
                         merge_texts(*parts.vocabulary, merges_of_ranks(*parts.vocabulary, *ranks)));
  }
  return {};
}

void write_metaspace(const TokenizerParts& parts, std::size_t vocab_size, Metadata& metadata) {
  metadata.set_string("tokenizer.ggml.model", "llama");
  metadata.set_string("tokenizer.ggml.pre", "default");
  const std::size_t count = vocab_size == 0 ? parts.vocabulary->size() : vocab_size;
  std::vector<float> scores(count, 0.0F);
  if (const auto* merges = dynamic_cast<const MergeBpe*>(parts.model.get())) {
    scores = scores_of_merges(parts, *merges, count);
  } else {
    for (std::size_t i = 0; i < std::min(count, parts.vocabulary->size()); ++i)
      scores[i] = parts.vocabulary->token(static_cast<TokenId>(i)).score;
  }
  metadata.set_floats("tokenizer.ggml.scores", std::move(scores));
  bool collapses = false;
  bool prefixes = false;
  for (const NormalizerStep& step : parts.normalizer.steps()) {
    collapses = collapses || step.kind == NormalizerStep::Kind::kCollapseSpaces;
    prefixes = prefixes || step.kind == NormalizerStep::Kind::kPrepend;
  }
  for (const PreTokenizerStep& step : parts.pre_tokenizer.steps()) {
    prefixes = prefixes ||
               (step.kind == PreTokenizerStep::Kind::kMetaspace && step.prepend != PreTokenizerStep::Prepend::kNever);
  }
  metadata.set_bool("tokenizer.ggml.add_space_prefix", prefixes);
  if (collapses) metadata.set_bool("tokenizer.ggml.remove_extra_whitespaces", true);
}

}  // namespace

Status tokenizer_to_gguf(const Tokenizer& tokenizer, std::size_t vocab_size, Metadata& metadata) {
  const TokenizerParts& parts = tokenizer.parts();
  if (parts.kind == TokenizerKind::kByteLevelBpe || parts.kind == TokenizerKind::kTiktoken) {
    MLXR_RETURN_IF_ERROR(write_byte_level(parts, metadata));
  } else {
    write_metaspace(parts, vocab_size, metadata);
  }
  MLXR_RETURN_IF_ERROR(write_tokens(parts, vocab_size, metadata));
  for (const SpecialTokenKey& row : special_token_keys()) {
    if (const auto id = parts.special.*row.slot) metadata.set_uint(row.key, static_cast<std::uint64_t>(*id));
  }
  metadata.set_bool("tokenizer.ggml.add_bos_token", tokenizer.adds_bos());
  const bool adds_eos = parts.special.eos &&
                        std::find(parts.suffix.begin(), parts.suffix.end(), *parts.special.eos) != parts.suffix.end();
  metadata.set_bool("tokenizer.ggml.add_eos_token", adds_eos);
  return {};
}

}  // namespace mlxr
