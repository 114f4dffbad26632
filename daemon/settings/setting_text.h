#pragma once
// Values of settings as text, both ways. An error says what the text is not; the caller says whose value it is.

#include <string>
#include <string_view>

#include "daemon/settings/settings.h"

namespace mlxr::setting_text_detail {

Status from_text(std::string_view text, bool& value);
Status from_text(std::string_view text, std::int64_t& value);
Status from_text(std::string_view text, double& value);
Status from_text(std::string_view text, std::string& value);
Status from_text(std::string_view text, TextList& value);
Status from_text(std::string_view text, Bytes& value);
Status from_text(std::string_view text, Duration& value);
Status from_text(std::string_view text, Weights& value);

std::string to_text(bool value);
std::string to_text(std::int64_t value);
std::string to_text(double value);
std::string to_text(const std::string& value);
std::string to_text(const TextList& value);
std::string to_text(Bytes value);
std::string to_text(Duration value);
std::string to_text(const Weights& value);

}  // namespace mlxr::setting_text_detail
