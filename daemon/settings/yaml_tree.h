#pragma once
// A YAML document as a tree, read strictly: one document of bounded size, depth and number of nodes; no anchors,
// aliases or tags, and no key twice. Scalars stay text, whatever YAML would take them for.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

inline constexpr std::size_t kMaxYamlBytes = std::size_t{256} << 10;

struct YamlNode {
  enum class Kind : unsigned char { kNull, kScalar, kSequence, kMapping };
  Kind kind = Kind::kNull;
  int line = 1;                                             // from 1 on
  int column = 0;                                           // from 0 on, in characters
  bool flow = false;                                        // written with brackets
  std::string text = {};                                    // of a scalar
  std::vector<YamlNode> items = {};                         // of a sequence
  std::vector<std::pair<YamlNode, YamlNode>> entries = {};  // of a mapping: scalars to values

  // nullptr: no such key.
  const YamlNode* find(std::string_view key) const;
};

// An empty document is a null. kCorrupt: "path:line: what is wrong".
Result<YamlNode> parse_yaml(std::string_view text, const std::string& path);

// "path:line: message"
Status yaml_error(const std::string& path, const YamlNode& node, const std::string& message);

// A scalar as YAML that reads back as this text: quoted where it must be, also within brackets.
std::string yaml_scalar(std::string_view text);

}  // namespace mlxr
