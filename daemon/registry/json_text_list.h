#pragma once
// Lists of texts in a database column: a JSON array of strings.

#include <string>
#include <vector>

namespace mlxr {

std::string text_list_to_json(const std::vector<std::string>& texts);
// What is no such array is an empty list: the database is our own.
std::vector<std::string> text_list_from_json(const std::string& json);

}  // namespace mlxr
