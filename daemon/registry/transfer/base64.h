#pragma once
// Base64 with padding, as SSH keys and HTTP headers have it. Any thread.

#include <optional>
#include <string>
#include <string_view>

namespace mlxr {

std::string base64_encode(std::string_view bytes);
// nullopt for anything but whole groups of the alphabet.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace mlxr
