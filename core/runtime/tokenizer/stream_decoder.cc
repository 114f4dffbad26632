#include "core/runtime/tokenizer/stream_decoder.h"

#include "core/base/utf8.h"

namespace mlxr {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, const StreamDecoderOptions& options)
    : tokenizer_(&tokenizer), options_(options), may_strip_(options.at_start && tokenizer.strips_leading_space()) {}

std::string StreamDecoder::push(TokenId token) {
  const bool special = tokenizer_->is_special(token);
  if (special && options_.skip_special) return {};
  std::string bytes = tokenizer_->token_bytes(token);
  if (may_strip_ && !special && bytes.starts_with(' ')) bytes.erase(0, 1);
  may_strip_ = false;
  held_ += bytes;
  const std::size_t ready = complete_utf8_prefix(held_);
  std::string out = to_valid_utf8(std::string_view(held_).substr(0, ready));
  held_.erase(0, ready);
  return out;
}

std::string StreamDecoder::flush() {
  std::string out = to_valid_utf8(held_);
  held_.clear();
  may_strip_ = options_.at_start && tokenizer_->strips_leading_space();
  return out;
}

}  // namespace mlxr
