#include "core/runtime/template/value.h"

#include <algorithm>
#include <array>

#include "core/runtime/template/compare.h"

namespace mlxr::jinja {
namespace {

constexpr std::array<SequenceTraits, 9> kSequenceTraits = {{
    {SequenceType::kList, "list", true, true, false, true},
    {SequenceType::kTuple, "tuple", true, true, false, true},
    {SequenceType::kGroup, "_GroupTuple", true, true, false, true},
    {SequenceType::kRange, "range", true, true, false, false},
    {SequenceType::kDictKeys, "dict_keys", true, false, false, false},
    {SequenceType::kDictValues, "dict_values", true, false, false, false},
    {SequenceType::kDictItems, "dict_items", true, false, false, false},
    {SequenceType::kGenerator, "generator", false, false, true, false},
    {SequenceType::kReversed, "list_reverseiterator", false, false, true, false},
}};

}  // namespace

const SequenceTraits& sequence_traits(SequenceType type) {
  return kSequenceTraits[static_cast<std::size_t>(type)];
}

Value Value::undefined(std::string message) {
  return Value(Data(std::make_shared<const Complaint>(Complaint{std::move(message)})));
}

Value Value::text(std::string value) {
  return Value(Data(std::make_shared<const Text>(Text{std::move(value), /*markup=*/false})));
}

Value Value::markup(std::string value) {
  return Value(Data(std::make_shared<const Text>(Text{std::move(value), /*markup=*/true})));
}

Value Value::sequence(SequenceType type, std::vector<Value> items) {
  auto made = std::make_shared<Sequence>();
  made->type = type;
  for (const Value& item : items)
    made->depth = std::max(made->depth, item.depth() + 1);
  made->items = std::move(items);
  return Value(Data(std::shared_ptr<const Sequence>(std::move(made))));
}

Result<Value> Value::mapping(std::vector<Entry> entries) {
  auto made = std::make_shared<Mapping>();
  made->entries.reserve(entries.size());
  for (Entry& entry : entries) {
    MLXR_ASSIGN_OR_RETURN(std::string key, hash_key(entry.first));
    made->depth = std::max({made->depth, entry.first.depth() + 1, entry.second.depth() + 1});
    const auto [place, fresh] = made->places.try_emplace(std::move(key), made->entries.size());
    if (fresh) {
      made->entries.push_back(std::move(entry));
    } else {
      made->entries[place->second].second = std::move(entry.second);
    }
  }
  return Value(Data(std::shared_ptr<const Mapping>(std::move(made))));
}

bool Value::is_markup() const {
  return is_text() && (*std::get_if<std::shared_ptr<const Text>>(&data_))->markup;
}

bool Value::is_list() const {
  return is_sequence() && as_sequence().type == SequenceType::kList;
}

bool Value::is_tuple() const {
  return is_sequence() && (as_sequence().type == SequenceType::kTuple || as_sequence().type == SequenceType::kGroup);
}

Integer Value::as_integer() const {
  if (kind() == Kind::kBool) return as_bool() ? 1 : 0;
  return *std::get_if<Integer>(&data_);
}

double Value::as_number() const {
  if (kind() == Kind::kFloat) return *std::get_if<double>(&data_);
  return static_cast<double>(as_integer());
}

const std::string& Value::as_text() const {
  return (*std::get_if<std::shared_ptr<const Text>>(&data_))->bytes;
}

Status Value::complaint() const {
  const auto& complaint = *std::get_if<std::shared_ptr<const Complaint>>(&data_);
  return invalid_argument(complaint == nullptr ? "a value is undefined" : complaint->message);
}

bool Value::truthy() const {
  switch (kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return as_bool();
    case Kind::kInteger:
      return as_integer() != 0;
    case Kind::kFloat:
      return as_number() != 0.0;
    case Kind::kText:
      return !as_text().empty();
    case Kind::kSequence:
      return !as_sequence().traits().has_length || !as_sequence().items.empty();
    case Kind::kMapping:
      return !as_mapping().entries.empty();
    case Kind::kObject:
      return true;
  }
  return false;
}

std::string Value::type_name() const {
  switch (kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInteger:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kText:
      return is_markup() ? "Markup" : "str";
    case Kind::kSequence:
      return as_sequence().traits().python_name;
    case Kind::kMapping:
      return "dict";
    case Kind::kObject:
      return as_object().type_name();
  }
  return {};
}

std::string Value::described() const {
  if (is_none()) return "None";
  if (is_object()) return as_object().described();
  return "'" + type_name() + " object'";
}

int Value::depth() const {
  if (is_sequence()) return as_sequence().depth;
  if (is_mapping()) return as_mapping().depth;
  return 0;
}

std::size_t Value::shallow_bytes() const {
  if (is_text()) return as_text().size() + sizeof(Text);
  if (is_sequence()) return as_sequence().items.size() * sizeof(Value) + sizeof(Sequence);
  if (is_mapping()) return as_mapping().entries.size() * (sizeof(Entry) + 64) + sizeof(Mapping);
  return 0;
}

const Value* Mapping::find(std::string_view text_key) const {
  const auto place = places.find(text_hash_key(text_key));
  return place == places.end() ? nullptr : &entries[place->second].second;
}

const Value* Arguments::find_named(std::string_view name) const {
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

Result<Value> Object::call(Interpreter& /*run*/, const Arguments& /*arguments*/) {
  return invalid_argument("'" + type_name() + "' object is not callable");
}

}  // namespace mlxr::jinja
