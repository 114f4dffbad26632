#pragma once
// The few primitives that access needs, from OpenSSL.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/secret.h"

namespace mlxr::access_detail {

std::string sha256_hex(std::string_view text);
// HMAC-SHA256, hexadecimal.
std::string hmac_hex(std::string_view key, std::string_view text);
// `count` random bytes of the system, as letters, digits, - and _ (base64url, six bits a character).
Secret random_text(std::size_t count);
std::string random_hex(std::size_t count);

}  // namespace mlxr::access_detail
