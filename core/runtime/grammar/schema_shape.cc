#include "core/runtime/grammar/schema_shape.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

namespace mlxr::grammar {
namespace {

std::string child(const std::string& pointer, std::string_view key) {
  std::string out = pointer + "/";
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

Status wrong(const std::string& pointer, const char* expected) {
  return invalid_argument(fmt::format("schema: {} has to be {}", pointer, expected));
}

Result<std::int64_t> count_of(const SchemaJson& value, const std::string& pointer) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() < (std::uint64_t{1} << 53))
    return static_cast<std::int64_t>(value.get<std::uint64_t>());
  if (value.is_number_float() && value.get<double>() >= 0 && value.get<double>() < 1e15 &&
      std::floor(value.get<double>()) == value.get<double>())
    return static_cast<std::int64_t>(value.get<double>());
  return wrong(pointer, "a whole number that is not negative");
}

std::optional<TypeSet> type_of_name(std::string_view name) {
  static constexpr std::pair<std::string_view, TypeSet> kNames[] = {
      {"null", kNullType},       {"boolean", kBooleanType},
      {"integer", kIntegerType}, {"number", kIntegerType | kFractionType},
      {"string", kStringType},   {"array", kArrayType},
      {"object", kObjectType}};
  for (const auto& [known, types] : kNames)
    if (known == name) return types;
  return std::nullopt;
}

TypeSet type_of_value(const SchemaJson& value) {
  if (value.is_null()) return kNullType;
  if (value.is_boolean()) return kBooleanType;
  if (value.is_string()) return kStringType;
  if (value.is_array()) return kArrayType;
  if (value.is_object()) return kObjectType;
  if (value.is_number_float() && std::floor(value.get<double>()) != value.get<double>()) return kFractionType;
  return kIntegerType;
}

}  // namespace

struct SchemaReader::Reading {
  Shape& shape;
  const SchemaRef& schema;
  std::string_view keyword;
  const SchemaJson& value;
  std::string pointer;  // of the keyword
  const std::vector<const SchemaJson*>& within;
};

const SchemaReader::Keyword SchemaReader::kKeywords[] = {
    {"type", &SchemaReader::read_type},
    {"enum", &SchemaReader::read_enum},
    {"const", &SchemaReader::read_const},
    {"minimum", &SchemaReader::read_bound},
    {"maximum", &SchemaReader::read_bound},
    {"exclusiveMinimum", &SchemaReader::read_bound},
    {"exclusiveMaximum", &SchemaReader::read_bound},
    {"multipleOf", &SchemaReader::read_multiple},
    {"minLength", &SchemaReader::read_length},
    {"maxLength", &SchemaReader::read_length},
    {"minItems", &SchemaReader::read_length},
    {"maxItems", &SchemaReader::read_length},
    {"minProperties", &SchemaReader::read_length},
    {"maxProperties", &SchemaReader::read_length},
    {"pattern", &SchemaReader::read_pattern},
    {"format", &SchemaReader::read_format},
    {"properties", &SchemaReader::read_object},
    {"patternProperties", &SchemaReader::read_object},
    {"additionalProperties", &SchemaReader::read_object},
    {"required", &SchemaReader::read_required},
    {"propertyNames", &SchemaReader::read_property_names},
    {"prefixItems", &SchemaReader::read_array},
    {"items", &SchemaReader::read_array},
    {"allOf", &SchemaReader::read_all_of},
    {"anyOf", &SchemaReader::read_any_of},
    {"oneOf", &SchemaReader::read_one_of},
    {"$ref", &SchemaReader::read_ref},
    // What says nothing about values.
    {"$schema", &SchemaReader::ignore},
    {"$id", &SchemaReader::ignore},
    {"$anchor", &SchemaReader::ignore},
    {"$comment", &SchemaReader::ignore},
    {"$defs", &SchemaReader::ignore},
    {"definitions", &SchemaReader::ignore},
    {"title", &SchemaReader::ignore},
    {"description", &SchemaReader::ignore},
    {"default", &SchemaReader::ignore},
    {"example", &SchemaReader::ignore},
    {"examples", &SchemaReader::ignore},
    {"deprecated", &SchemaReader::ignore},
    {"readOnly", &SchemaReader::ignore},
    {"writeOnly", &SchemaReader::ignore},
    {"contentEncoding", &SchemaReader::ignore},
    {"contentMediaType", &SchemaReader::ignore},
    {"contentSchema", &SchemaReader::ignore},
    // Refused unless their value asks for nothing.
    {"uniqueItems", &SchemaReader::read_if_trivial},
    {"unevaluatedProperties", &SchemaReader::read_if_trivial},
    {"unevaluatedItems", &SchemaReader::read_if_trivial},
};

void SchemaReader::warn(std::string text) {
  if (std::find(warnings_.begin(), warnings_.end(), text) == warnings_.end()) warnings_.push_back(std::move(text));
}

Status SchemaReader::add(Shape& shape, const SchemaRef& schema, std::vector<const SchemaJson*> within) {
  const SchemaJson& node = *schema.node;
  if (node.is_boolean()) {
    shape.never = shape.never || !node.get<bool>();
    return {};
  }
  if (!node.is_object()) return wrong(schema.pointer, "a schema: an object, true or false");
  if (std::find(within.begin(), within.end(), &node) != within.end())
    return invalid_argument(fmt::format("schema: {} refers to itself without end", schema.pointer));
  if (static_cast<int>(within.size()) > max_depth_)
    return resource_exhausted(fmt::format("schema: {} is nested too deeply", schema.pointer));
  if (std::find(shape.seen.begin(), shape.seen.end(), &node) != shape.seen.end()) return {};
  shape.seen.push_back(&node);
  within.push_back(&node);
  for (auto item = node.begin(); item != node.end(); ++item) {
    const auto keyword = std::find_if(std::begin(kKeywords), std::end(kKeywords),
                                      [&](const Keyword& k) { return item.key() == k.name; });
    const std::string pointer = child(schema.pointer, item.key());
    if (keyword == std::end(kKeywords))
      return unsupported(fmt::format("schema: the keyword '{}' at {} is not supported", item.key(), pointer));
    Reading reading{shape, schema, keyword->name, *item, pointer, within};
    MLXR_RETURN_IF_ERROR((this->*keyword->read)(reading));
  }
  return {};
}

Status SchemaReader::ignore(Reading&) {
  return {};
}

Status SchemaReader::read_if_trivial(Reading& r) {
  if (!r.value.is_boolean())
    return unsupported(fmt::format("schema: the keyword '{}' at {} is not supported", r.keyword, r.pointer));
  if (r.value.get<bool>() == (r.keyword != "uniqueItems")) return {};
  // Without other schemas at the same place, what is not evaluated is what is additional.
  const SchemaJson& node = *r.schema.node;
  for (const char* combining : {"allOf", "anyOf", "oneOf", "$ref", "additionalProperties", "items"})
    if (node.contains(combining))
      return unsupported(
          fmt::format("schema: the keyword '{}' at {} beside '{}' is not supported", r.keyword, r.pointer, combining));
  static const SchemaJson kFalse = false;
  const SchemaRef nothing{&kFalse, r.pointer};
  if (r.keyword == "unevaluatedProperties") {
    ObjectPart part;
    for (const char* keyword : {"properties", "patternProperties"}) {
      if (!node.contains(keyword) || !node[keyword].is_object()) continue;
      for (auto item = node[keyword].begin(); item != node[keyword].end(); ++item)
        (keyword[1] == 'r' ? part.properties : part.patterns)
            .emplace_back(item.key(), SchemaRef{&*item, child(child(r.schema.pointer, keyword), item.key())});
    }
    part.additional = nothing;
    r.shape.objects.push_back(std::move(part));
    return {};
  }
  return unsupported(fmt::format("schema: the keyword '{}' at {} is not supported", r.keyword, r.pointer));
}

Status SchemaReader::read_type(Reading& r) {
  TypeSet types = 0;
  const auto add_name = [&](const SchemaJson& name) {
    const std::optional<TypeSet> known =
        name.is_string() ? type_of_name(name.get_ref<const std::string&>()) : std::nullopt;
    types |= known.value_or(0);
    return known.has_value();
  };
  bool valid = true;
  if (r.value.is_array()) {
    for (const SchemaJson& name : r.value)
      valid = add_name(name) && valid;
  } else {
    valid = add_name(r.value);
  }
  if (!valid) return wrong(r.pointer, "the name of a type or a list of names");
  r.shape.types &= types;
  return {};
}

Status SchemaReader::read_enum(Reading& r) {
  if (!r.value.is_array()) return wrong(r.pointer, "an array");
  std::vector<const SchemaJson*> values;
  for (const SchemaJson& value : r.value)
    values.push_back(&value);
  r.shape.enums.push_back(std::move(values));
  return {};
}

Status SchemaReader::read_const(Reading& r) {
  r.shape.enums.push_back({&r.value});
  return {};
}

Status SchemaReader::read_bound(Reading& r) {
  if (!r.value.is_number()) return wrong(r.pointer, "a number");
  const std::optional<Decimal> value = Decimal::parse(r.value.dump());
  if (!value.has_value()) return unsupported(fmt::format("schema: the number at {} has too many digits", r.pointer));
  const bool excluded = r.keyword.starts_with("exclusive");
  NumberBounds& bounds = r.shape.number;
  if (r.keyword == "minimum" || r.keyword == "exclusiveMinimum") {
    const int order = bounds.low.has_value() ? value->compare(*bounds.low) : 1;
    if (order > 0) bounds.low_excluded = excluded;
    if (order == 0) bounds.low_excluded = bounds.low_excluded || excluded;
    if (order > 0) bounds.low = value;
  } else {
    const int order = bounds.high.has_value() ? value->compare(*bounds.high) : -1;
    if (order < 0) bounds.high_excluded = excluded;
    if (order == 0) bounds.high_excluded = bounds.high_excluded || excluded;
    if (order < 0) bounds.high = value;
  }
  return {};
}

Status SchemaReader::read_multiple(Reading& r) {
  const std::optional<Decimal> value = r.value.is_number() ? Decimal::parse(r.value.dump()) : std::nullopt;
  if (!value.has_value() || value->negative || value->is_zero()) return wrong(r.pointer, "a number above zero");
  if (r.shape.number.multiple_of.has_value() && r.shape.number.multiple_of->compare(*value) != 0)
    return unsupported(fmt::format("schema: a second multipleOf at {} is not supported", r.pointer));
  r.shape.number.multiple_of = value;
  return {};
}

Status SchemaReader::read_length(Reading& r) {
  MLXR_ASSIGN_OR_RETURN(const std::int64_t count, count_of(r.value, r.pointer));
  const auto at_least = [&](std::int64_t& least) { least = std::max(least, count); };
  const auto at_most = [&](std::optional<std::int64_t>& most) { most = std::min(most.value_or(count), count); };
  if (r.keyword == "minLength") at_least(r.shape.min_length);
  if (r.keyword == "maxLength") at_most(r.shape.max_length);
  if (r.keyword == "minItems") at_least(r.shape.min_items);
  if (r.keyword == "maxItems") at_most(r.shape.max_items);
  if (r.keyword == "minProperties") at_least(r.shape.min_properties);
  if (r.keyword == "maxProperties") at_most(r.shape.max_properties);
  return {};
}

Status SchemaReader::read_pattern(Reading& r) {
  if (!r.value.is_string()) return wrong(r.pointer, "a string");
  r.shape.patterns.push_back({&r.value, r.pointer});
  return {};
}

Status SchemaReader::read_format(Reading& r) {
  if (!r.value.is_string()) return wrong(r.pointer, "a string");
  r.shape.formats.push_back({&r.value, r.pointer});
  return {};
}

// The three keywords of a schema depend on each other: the first one reads them all.
Status SchemaReader::read_object(Reading& r) {
  const SchemaJson& node = *r.schema.node;
  for (auto item = node.begin(); item.key() != r.keyword; ++item)
    if (item.key() == "properties" || item.key() == "patternProperties" || item.key() == "additionalProperties")
      return {};
  ObjectPart part;
  for (auto item = node.begin(); item != node.end(); ++item) {
    const std::string pointer = child(r.schema.pointer, item.key());
    if (item.key() == "additionalProperties") {
      part.additional = SchemaRef{&*item, pointer};
    } else if (item.key() == "properties" || item.key() == "patternProperties") {
      if (!item->is_object()) return wrong(pointer, "an object");
      for (auto property = item->begin(); property != item->end(); ++property)
        (item.key() == "properties" ? part.properties : part.patterns)
            .emplace_back(property.key(), SchemaRef{&*property, child(pointer, property.key())});
    }
  }
  r.shape.objects.push_back(std::move(part));
  return {};
}

Status SchemaReader::read_required(Reading& r) {
  if (!r.value.is_array()) return wrong(r.pointer, "an array of strings");
  for (const SchemaJson& name : r.value) {
    if (!name.is_string()) return wrong(r.pointer, "an array of strings");
    auto& required = r.shape.required;
    if (std::find(required.begin(), required.end(), name.get_ref<const std::string&>()) == required.end())
      required.push_back(name.get<std::string>());
  }
  return {};
}

Status SchemaReader::read_property_names(Reading& r) {
  r.shape.property_names.push_back({&r.value, r.pointer});
  return {};
}

Status SchemaReader::read_array(Reading& r) {
  const SchemaJson& node = *r.schema.node;
  if (r.keyword == "items" && node.contains("prefixItems")) return {};  // read with it
  ArrayPart part;
  if (node.contains("prefixItems")) {
    const SchemaJson& prefix = node["prefixItems"];
    const std::string pointer = child(r.schema.pointer, "prefixItems");
    if (!prefix.is_array()) return wrong(pointer, "an array of schemas");
    for (std::size_t i = 0; i < prefix.size(); ++i)
      part.prefix.push_back({&prefix[i], child(pointer, std::to_string(i))});
  }
  if (node.contains("items")) {
    const std::string pointer = child(r.schema.pointer, "items");
    if (node["items"].is_array())
      return unsupported(
          fmt::format("schema: a list at {} is not supported: draft 2020-12 calls it prefixItems", pointer));
    part.items = SchemaRef{&node["items"], pointer};
  }
  r.shape.arrays.push_back(std::move(part));
  return {};
}

Status SchemaReader::read_all_of(Reading& r) {
  if (!r.value.is_array()) return wrong(r.pointer, "an array of schemas");
  for (std::size_t i = 0; i < r.value.size(); ++i)
    MLXR_RETURN_IF_ERROR(add(r.shape, {&r.value[i], child(r.pointer, std::to_string(i))}, r.within));
  return {};
}

Status SchemaReader::read_any_of(Reading& r) {
  if (!r.value.is_array() || r.value.empty()) return wrong(r.pointer, "an array of schemas");
  Alternatives out{{}, r.within};
  for (std::size_t i = 0; i < r.value.size(); ++i)
    out.schemas.push_back({&r.value[i], child(r.pointer, std::to_string(i))});
  r.shape.alternatives.push_back(std::move(out));
  return {};
}

Status SchemaReader::read_one_of(Reading& r) {
  MLXR_RETURN_IF_ERROR(read_any_of(r));
  const std::vector<SchemaRef>& schemas = r.shape.alternatives.back().schemas;
  constexpr std::size_t kMaxCompared = 64;
  bool all_apart = schemas.size() <= kMaxCompared;
  for (std::size_t i = 0; i < schemas.size() && all_apart; ++i)
    for (std::size_t j = 0; j < i && all_apart; ++j)
      all_apart = apart(schemas[i], schemas[j]);
  if (!all_apart)
    warn(fmt::format("schema: oneOf at {} is enforced as anyOf: its alternatives may overlap", r.pointer));
  return {};
}

// Whether no value can match both, as far as types, enums and required properties with fixed values tell.
bool SchemaReader::apart(const SchemaRef& a, const SchemaRef& b) {
  Shape x;
  Shape y;
  const std::size_t num_warnings = warnings_.size();
  const bool read = add(x, a, {}).ok() && add(y, b, {}).ok();
  warnings_.resize(num_warnings);
  if (!read) return false;
  const auto enums_apart = [](const Shape& p, const Shape& q) {
    if (p.enums.empty() || q.enums.empty()) return false;
    return std::none_of(p.enums[0].begin(), p.enums[0].end(), [&](const SchemaJson* value) {
      return std::any_of(q.enums[0].begin(), q.enums[0].end(),
                         [&](const SchemaJson* other) { return *value == *other; });
    });
  };
  const auto types_of = [](const Shape& shape) {
    if (shape.enums.empty()) return shape.types;
    TypeSet types = 0;
    for (const SchemaJson* value : shape.enums[0])
      types |= type_of_value(*value);
    return shape.types & types;
  };
  if (x.never || y.never || (types_of(x) & types_of(y)) == 0 || enums_apart(x, y)) return true;
  if ((types_of(x) & types_of(y)) != kObjectType) return false;
  for (const ObjectPart& part : x.objects) {
    for (const auto& property : part.properties) {
      const std::string& name = property.first;
      const auto required = [&](const Shape& shape) {
        return std::find(shape.required.begin(), shape.required.end(), name) != shape.required.end();
      };
      if (!required(x) || !required(y)) continue;
      for (const ObjectPart& other : y.objects) {
        for (const auto& [other_name, other_schema] : other.properties) {
          if (other_name != name) continue;
          Shape p;
          Shape q;
          if (!add(p, property.second, {}).ok() || !add(q, other_schema, {}).ok()) continue;
          if (enums_apart(p, q) || (types_of(p) & types_of(q)) == 0) return true;
        }
      }
    }
  }
  return false;
}

Status SchemaReader::read_ref(Reading& r) {
  if (!r.value.is_string()) return wrong(r.pointer, "a string");
  MLXR_ASSIGN_OR_RETURN(const SchemaRef target, resolve(r.value.get_ref<const std::string&>(), r.pointer));
  return add(r.shape, target, r.within);
}

Result<SchemaRef> SchemaReader::resolve(const std::string& reference, const std::string& pointer) const {
  if (!reference.starts_with('#'))
    return unsupported(fmt::format("schema: the reference at {} leaves the document, which is not supported", pointer));
  std::string_view rest = std::string_view(reference).substr(1);
  SchemaRef out{&root_, "#"};
  if (!rest.empty() && !rest.starts_with('/'))
    return unsupported(fmt::format("schema: the reference at {} names an anchor, which is not supported", pointer));
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view written = rest.substr(0, rest.find('/'));
    rest.remove_prefix(written.size());
    std::string key;
    for (std::size_t i = 0; i < written.size(); ++i) {
      const std::string_view two = written.substr(i, 2);
      const std::string_view three = written.substr(i, 3);
      if (two == "~0" || two == "~1") {
        key += two == "~0" ? '~' : '/';
        ++i;
      } else if (three == "%24" || three == "%25" || three == "%20" || three == "%22") {
        key += three == "%24" ? '$' : three == "%25" ? '%' : three == "%20" ? ' ' : '"';
        i += 2;
      } else {
        key += written[i];
      }
    }
    const SchemaJson* next = nullptr;
    if (out.node->is_object() && out.node->contains(key)) next = &(*out.node)[key];
    if (out.node->is_array() && !key.empty() && key.size() < 9 &&
        std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      const auto index = static_cast<std::size_t>(std::stoul(key));
      if (index < out.node->size()) next = &(*out.node)[index];
    }
    if (next == nullptr)
      return invalid_argument(fmt::format("schema: the reference {} at {} names nothing", reference, pointer));
    out = {next, child(out.pointer, key)};
  }
  return out;
}

}  // namespace mlxr::grammar
