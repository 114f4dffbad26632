#include "core/runtime/tokenizer/stream_decoder.h"

#include "core/base/utf8.h"

namespace mlxr {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, const StreamDecoderOptions& options)
    : tokenizer_(&tokenizer), options_(options), at_start_(options.at_start) {}

std::string StreamDecoder::push(TokenId token) {
  const std::string bytes = tokenizer_->token_bytes(token);
  if (!tokenizer_->is_special(token)) {
    held_ += tokenizer_->text_of(bytes, at_start_);
  } else if (options_.skip_special) {
    return {};
  } else {
    held_ += bytes;
    at_start_ = false;
  }
  const std::size_t ready = complete_utf8_prefix(held_);
  std::string out = to_valid_utf8(std::string_view(held_).substr(0, ready));
  held_.erase(0, ready);
  return out;
}

std::string StreamDecoder::flush() {
  std::string out = to_valid_utf8(held_);
  held_.clear();
  at_start_ = options_.at_start;
  return out;
}

}  // namespace mlxr
