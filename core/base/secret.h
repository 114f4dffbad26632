#pragma once
// Secret: a text that must not be shown. It cannot be printed, formatted or compared by accident; reveal() is the one
// way to its bytes. The memory is cleared when it goes.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace mlxr {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  ~Secret() { clear(); }
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.clear(); }
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      clear();
      text_ = other.text_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      clear();
      text_ = std::move(other.text_);
      other.clear();
    }
    return *this;
  }

  std::string_view reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  // Takes the same time wherever two texts of one length differ.
  bool equals(std::string_view other) const;

 private:
  void clear() {
    text_.resize(text_.capacity());  // a text that was moved away may have left some behind its end
    // volatile: a compiler may not leave out stores to memory that is freed next
    volatile char* bytes = text_.data();
    for (std::size_t i = 0; i < text_.size(); ++i)
      bytes[i] = 0;
    text_.clear();
  }
  std::string text_;
};

// The same time for all texts of these lengths.
inline bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference =
        static_cast<unsigned char>(difference | (static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i])));
  }
  return difference == 0;
}

inline bool Secret::equals(std::string_view other) const {
  return equal_in_constant_time(text_, other);
}

}  // namespace mlxr
