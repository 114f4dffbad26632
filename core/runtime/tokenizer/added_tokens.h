#pragma once
// Tokens that are recognised in a text before anything else looks at it: special ones ("<|im_end|>") and others that
// were added after training. Of several that start at one place the longest wins. Source: huggingface/tokenizers,
// tokenizer/added_vocabulary.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/tokenizer/regex.h"
#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

struct AddedToken {
  TokenId id = kNoToken;
  std::string content;
  bool special = false;
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and after it
  bool single_word = false;  // only between characters that are not of a word
  bool normalized = false;   // looked for in the normalised text
};

// A stretch of text, or a token found in it.
struct Fragment {
  TextRange range;
  TokenId token = kNoToken;  // kNoToken: text
};

// Immutable after build() and thread-safe.
class AddedTokens {
 public:
  enum class Pass : std::uint8_t { kRaw, kNormalized };

  // `normalize` is applied to the content of the tokens that are looked for in normalised text. Fails with kUnsupported
  // when a content is longer than 1 KiB: it bounds the time of a search.
  Status build(std::vector<AddedToken> tokens, const std::function<std::string(std::string_view)>& normalize);

  // Appends the fragments of `text` in order; no empty text among them. Without `parse_special` special tokens stay
  // text.
  void split(std::string_view text, Pass pass, bool parse_special, std::vector<Fragment>& out) const;

  bool empty(Pass pass) const { return trie(pass).nodes.empty(); }
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> children;  // sorted by byte
    std::int32_t token = -1;                                        // index into tokens_
  };
  struct Trie {
    std::vector<Node> nodes;  // the root first
    std::vector<bool> first;  // bytes that start a token
  };

  void insert(Trie& trie, std::string_view content, std::size_t token);
  const Trie& trie(Pass pass) const { return pass == Pass::kRaw ? raw_ : normalized_; }
  // Index into tokens_ and end of the longest token at `at`; -1 when there is none.
  std::pair<std::int32_t, std::size_t> longest(const Trie& trie, std::string_view text, std::size_t at) const;

  std::vector<AddedToken> tokens_;
  Trie raw_;
  Trie normalized_;
};

}  // namespace mlxr
