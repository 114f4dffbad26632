#pragma once
// Texts from outside inside of messages: control characters and broken UTF-8 are replaced, long ones are cut.

#include <cstddef>
#include <string>
#include <string_view>

namespace mlxr {

std::string visible_text(std::string_view text, std::size_t max_bytes);

}  // namespace mlxr
