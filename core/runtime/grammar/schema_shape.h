#pragma once
// What a set of schemas that hold together asks of a value, by kind of value. Conjunction ("allOf", "$ref" beside other
// keywords) adds to a shape; disjunction ("anyOf", "oneOf") is kept apart until the rest is known.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/status.h"
#include "core/runtime/grammar/decimal.h"

namespace mlxr::grammar {

using SchemaJson = nlohmann::ordered_json;

// A schema within the document.
struct SchemaRef {
  const SchemaJson* node = nullptr;
  std::string pointer;  // as JSON pointer, for messages
};

using TypeSet = unsigned;
inline constexpr TypeSet kNullType = 1;
inline constexpr TypeSet kBooleanType = 2;
inline constexpr TypeSet kIntegerType = 4;
inline constexpr TypeSet kFractionType = 8;  // numbers that are not whole; "number" is both
inline constexpr TypeSet kStringType = 16;
inline constexpr TypeSet kArrayType = 32;
inline constexpr TypeSet kObjectType = 64;
inline constexpr TypeSet kAllTypes = 127;

// A schema's keywords on properties; `additional` applies to what the other two leave.
struct ObjectPart {
  std::vector<std::pair<std::string, SchemaRef>> properties;
  std::vector<std::pair<std::string, SchemaRef>> patterns;
  std::optional<SchemaRef> additional;
};

// A schema's keywords on elements.
struct ArrayPart {
  std::vector<SchemaRef> prefix;
  std::optional<SchemaRef> items;
};

struct Alternatives {
  std::vector<SchemaRef> schemas;
  std::vector<const SchemaJson*> within;  // schemas that these are part of: naming one again would never end
};

struct Shape {
  TypeSet types = kAllTypes;
  bool never = false;
  std::vector<std::vector<const SchemaJson*>> enums;  // a value has to be in each

  NumberBounds number;

  std::int64_t min_length = 0;
  std::optional<std::int64_t> max_length;
  std::vector<SchemaRef> patterns;  // the keyword's place; its value is a string
  std::vector<SchemaRef> formats;

  std::vector<ObjectPart> objects;
  std::vector<SchemaRef> property_names;
  std::vector<std::string> required;
  std::int64_t min_properties = 0;
  std::optional<std::int64_t> max_properties;

  std::vector<ArrayPart> arrays;
  std::int64_t min_items = 0;
  std::optional<std::int64_t> max_items;

  std::vector<Alternatives> alternatives;
  std::vector<const SchemaJson*> seen;  // schemas that are already part of it

  // Whether nothing is asked of strings but to be strings.
  bool any_string() const { return min_length == 0 && !max_length.has_value() && patterns.empty() && formats.empty(); }
};

// Reads keywords into shapes.
class SchemaReader {
 public:
  SchemaReader(const SchemaJson& root, int max_depth, std::vector<std::string>& warnings)
      : root_(root), max_depth_(max_depth), warnings_(warnings) {}

  // Adds what `schema` asks. `within` names the schemas that it is part of.
  Status add(Shape& shape, const SchemaRef& schema, std::vector<const SchemaJson*> within);

 private:
  struct Reading;
  using Read = Status (SchemaReader::*)(Reading&);
  struct Keyword {
    const char* name;
    Read read;
  };
  static const Keyword kKeywords[];

  Status read_type(Reading& r);
  Status read_enum(Reading& r);
  Status read_const(Reading& r);
  Status read_bound(Reading& r);
  Status read_multiple(Reading& r);
  Status read_length(Reading& r);
  Status read_pattern(Reading& r);
  Status read_format(Reading& r);
  Status read_object(Reading& r);
  Status read_required(Reading& r);
  Status read_property_names(Reading& r);
  Status read_array(Reading& r);
  Status read_all_of(Reading& r);
  Status read_any_of(Reading& r);
  Status read_one_of(Reading& r);
  Status read_ref(Reading& r);
  Status ignore(Reading& r);
  Status read_if_trivial(Reading& r);

  Result<SchemaRef> resolve(const std::string& reference, const std::string& pointer) const;
  bool apart(const SchemaRef& a, const SchemaRef& b);
  void warn(std::string text);

  const SchemaJson& root_;
  int max_depth_;
  std::vector<std::string>& warnings_;
};

}  // namespace mlxr::grammar
