#include "core/runtime/tokenizer/special_tokens.h"

#include <algorithm>
#include <span>
#include <string_view>

namespace mlxr {
namespace {

using Spellings = std::span<const std::string_view>;

// In order of preference: a turn's end before a document's.
constexpr std::string_view kEndOfTurn[] = {"<|eot_id|>",
                                           "<|im_end|>",
                                           "<|end|>",
                                           "<end_of_turn>",
                                           "<turn|>",
                                           "<EOT>",
                                           "_<EOT>",
                                           "[EOT]",
                                           "<end_of_utterance>",
                                           "<|end_of_text|>",
                                           "<|endoftext|>",
                                           "<\xEF\xBD\x9C"
                                           "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>"};
constexpr std::string_view kEndOfMessage[] = {"<|eom_id|>"};
constexpr std::string_view kFimPrefix[] = {"<|fim_prefix|>",
                                           "<fim-prefix>",
                                           "<fim_prefix>",
                                           "<PRE>",
                                           "\xE2\x96\x81<PRE>",
                                           "<|code_prefix|>",
                                           "<|prefix|>",
                                           "<\xEF\xBD\x9C"
                                           "fim\xE2\x96\x81"
                                           "begin\xEF\xBD\x9C>"};
constexpr std::string_view kFimSuffix[] = {"<|fim_suffix|>",
                                           "<fim-suffix>",
                                           "<fim_suffix>",
                                           "<SUF>",
                                           "\xE2\x96\x81<SUF>",
                                           "<|code_suffix|>",
                                           "<|suffix|>",
                                           "<\xEF\xBD\x9C"
                                           "fim\xE2\x96\x81hole\xEF\xBD\x9C>"};
constexpr std::string_view kFimMiddle[] = {"<|fim_middle|>",
                                           "<fim-middle>",
                                           "<fim_middle>",
                                           "<MID>",
                                           "\xE2\x96\x81<MID>",
                                           "<|code_middle|>",
                                           "<|middle|>",
                                           "<\xEF\xBD\x9C"
                                           "fim\xE2\x96\x81"
                                           "end\xEF\xBD\x9C>"};
constexpr std::string_view kFimPad[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>"};
constexpr std::string_view kFimRepository[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"};
constexpr std::string_view kFimSeparator[] = {"<|file_sep|>"};

constexpr std::string_view kEndOfGeneration[] = {"<|eot_id|>",
                                                 "<|im_end|>",
                                                 "<|end|>",
                                                 "<|return|>",
                                                 "<|call|>",
                                                 "<|flush|>",
                                                 "<|calls|>",
                                                 "<end_of_turn>",
                                                 "<|endoftext|>",
                                                 "</s>",
                                                 "<|eom_id|>",
                                                 "<EOT>",
                                                 "_<EOT>",
                                                 "[EOT]",
                                                 "[EOS]",
                                                 "<|end_of_text|>",
                                                 "<end_of_utterance>",
                                                 "<eos>",
                                                 "<turn|>",
                                                 "<|tool_response>",
                                                 "[e~[",
                                                 "<\xEF\xBD\x9C"
                                                 "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>"};

void remove_end_of_generation(SpecialTokens& special, std::optional<TokenId> id) {
  if (id) std::erase(special.end_of_generation, *id);
}

}  // namespace

void add_end_of_generation(SpecialTokens& special, TokenId id) {
  auto& ids = special.end_of_generation;
  const auto place = std::lower_bound(ids.begin(), ids.end(), id);
  if (place == ids.end() || *place != id) ids.insert(place, id);
}

void complete_special_tokens(const Vocabulary& vocabulary, const std::vector<bool>& recognised,
                             SpecialTokens& special) {
  const auto find = [&](std::string_view spelling) -> std::optional<TokenId> {
    const TokenId id = vocabulary.find_piece(spelling);
    if (id == kNoToken || !recognised[static_cast<std::size_t>(id)]) return std::nullopt;
    return id;
  };
  const auto fill = [&](std::optional<TokenId>& slot, Spellings spellings) {
    for (const std::string_view spelling : spellings) {
      if (slot) return;
      slot = find(spelling);
    }
  };
  fill(special.eot, kEndOfTurn);
  fill(special.eom, kEndOfMessage);
  fill(special.fim_pre, kFimPrefix);
  fill(special.fim_suf, kFimSuffix);
  fill(special.fim_mid, kFimMiddle);
  fill(special.fim_pad, kFimPad);
  fill(special.fim_rep, kFimRepository);
  fill(special.fim_sep, kFimSeparator);

  for (const std::string_view spelling : kEndOfGeneration) {
    if (const auto id = find(spelling)) add_end_of_generation(special, *id);
  }
  for (const auto& id : {special.eos, special.eot, special.eom, special.fim_pad, special.fim_rep, special.fim_sep}) {
    if (id) add_end_of_generation(special, *id);
  }
  // Where a call or a return ends the answer, <|end|> only ends one of its messages.
  const bool harmony = find("<|return|>") && find("<|call|>");
  const bool solar = find("<|calls|>") && find("<|flush|>");
  if (harmony || solar) remove_end_of_generation(special, find("<|end|>"));
  if (find("<|tool_response>") && special.eos != find("</s>")) remove_end_of_generation(special, find("</s>"));
}

}  // namespace mlxr
