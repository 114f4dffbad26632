#pragma once
// What was probably meant by a misspelt name.

#include <span>
#include <string>
#include <string_view>

namespace mlxr {

// Fewest insertions, removals, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment).
int edit_distance(std::string_view a, std::string_view b);

// The nearest of `names`; empty when none is near (more than a third of its letters differ).
std::string nearest_name(std::string_view name, std::span<const std::string> names);

}  // namespace mlxr
