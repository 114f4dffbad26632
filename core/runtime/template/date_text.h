#pragma once
// A date and time as text, in English and independent of the machine's locale.

#include <ctime>
#include <string>
#include <string_view>

namespace mlxr::jinja {

// strftime with the C locale. Directives that are not known stay as they are.
std::string date_text(std::string_view format, const std::tm& time);

}  // namespace mlxr::jinja
