// A regular expression from outside (up to the first zero byte), then bytes that a matcher is given: parsing, masks and
// steps end within their limits, and masks agree with what is accepted.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/grammar_steps.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const auto made = mlxr::Grammar::from_regex(input.substr(0, end), mlxr::fuzz_grammar_options());
  if (made.ok() && end != std::string_view::npos) mlxr::run_grammar_steps(*made, input.substr(end + 1));
  return 0;
}
