#pragma once
// The values that a template computes with: Python's, as Jinja2 sees them. A Value is a small handle; text, sequences
// and mappings are shared and immutable (Hugging Face renders in Jinja's immutable sandbox, so templates cannot tell).
// Objects with identity (namespaces, macros, loops) belong to the Interpreter and live until it ends.
//
// Text is UTF-8; Python's positions count code points (text.h).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/status.h"

namespace mlxr::jinja {

// Wide enough for every integer that JSON brings; an operation that overflows it is an error, never a wrap.
__extension__ using Integer = __int128;

class Object;
class Value;
struct Text;
struct Sequence;
struct Mapping;
struct Complaint;

enum class Kind : std::uint8_t { kUndefined, kNone, kBool, kInteger, kFloat, kText, kSequence, kMapping, kObject };

// The Python type a sequence stands for: one row of kSequenceTraits each.
enum class SequenceType : std::uint8_t {
  kList,
  kTuple,
  kGroup,  // (grouper, list) of the groupby filter
  kRange,
  kDictKeys,
  kDictValues,
  kDictItems,
  kGenerator,
  kReversed,
};

struct SequenceTraits {
  SequenceType type;
  const char* python_name;
  bool has_length;
  bool indexable;
  bool consumed;  // iterating uses it up
  bool json;      // tojson takes it
};
const SequenceTraits& sequence_traits(SequenceType type);

class Value {
 public:
  using Entry = std::pair<Value, Value>;

  Value() = default;  // undefined, without a complaint of its own
  // `message` is the error when somebody uses the value: "'x' is undefined".
  static Value undefined(std::string message);
  static Value none() { return Value(Data(None{})); }
  static Value boolean(bool value) { return Value(Data(value)); }
  static Value integer(Integer value) { return Value(Data(value)); }
  static Value integer(std::size_t value) { return Value(Data(static_cast<Integer>(value))); }
  static Value number(double value) { return Value(Data(value)); }
  static Value text(std::string value);
  // Text that escaping filters leave alone (Markup).
  static Value markup(std::string value);
  static Value sequence(SequenceType type, std::vector<Value> items);
  static Value list(std::vector<Value> items) { return sequence(SequenceType::kList, std::move(items)); }
  static Value tuple(std::vector<Value> items) { return sequence(SequenceType::kTuple, std::move(items)); }
  static Value generator(std::vector<Value> items) { return sequence(SequenceType::kGenerator, std::move(items)); }
  // Later entries replace earlier ones with an equal key, in its place. Fails for keys that Python cannot hash.
  static Result<Value> mapping(std::vector<Entry> entries);
  static Value object(Object* object) { return Value(Data(object)); }

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_undefined() const { return kind() == Kind::kUndefined; }
  bool is_none() const { return kind() == Kind::kNone; }
  bool is_text() const { return kind() == Kind::kText; }
  bool is_sequence() const { return kind() == Kind::kSequence; }
  bool is_mapping() const { return kind() == Kind::kMapping; }
  bool is_object() const { return kind() == Kind::kObject; }
  bool is_markup() const;
  // Booleans are integers in Python.
  bool is_integral() const { return kind() == Kind::kBool || kind() == Kind::kInteger; }
  bool is_numeric() const { return is_integral() || kind() == Kind::kFloat; }
  bool is_list() const;
  bool is_tuple() const;

  // Each requires its kind; as_integer and as_number take any is_integral() and is_numeric() value.
  bool as_bool() const { return *std::get_if<bool>(&data_); }
  Integer as_integer() const;
  double as_number() const;
  const std::string& as_text() const;
  const Sequence& as_sequence() const { return **std::get_if<std::shared_ptr<const Sequence>>(&data_); }
  const Mapping& as_mapping() const { return **std::get_if<std::shared_ptr<const Mapping>>(&data_); }
  Object& as_object() const { return **std::get_if<Object*>(&data_); }

  // The error for using an undefined value; requires is_undefined().
  Status complaint() const;
  // Python's truth; a generator is always true.
  bool truthy() const;
  // Python's type name: "str", "NoneType".
  std::string type_name() const;
  // How Jinja names a value in its messages: "'dict object'", "None".
  std::string described() const;
  // Levels of lists and mappings; 0 for scalars.
  int depth() const;
  // Rough memory that this value alone holds.
  std::size_t shallow_bytes() const;

 private:
  struct None {};
  using Data = std::variant<std::shared_ptr<const Complaint>, None, bool, Integer, double, std::shared_ptr<const Text>,
                            std::shared_ptr<const Sequence>, std::shared_ptr<const Mapping>, Object*>;
  explicit Value(Data data) : data_(std::move(data)) {}

  Data data_;
};

struct Complaint {
  std::string message;
};

struct Text {
  std::string bytes;
  bool markup = false;
};

struct Sequence {
  SequenceType type = SequenceType::kList;
  std::vector<Value> items;
  int depth = 1;
  mutable bool used_up = false;  // only for types with `consumed`

  const SequenceTraits& traits() const { return sequence_traits(type); }
};

struct Mapping {
  std::vector<Value::Entry> entries;                    // in insertion order
  std::unordered_map<std::string, std::size_t> places;  // canonical key (compare.h: hash_key) -> entry
  int depth = 1;

  // nullptr when absent.
  const Value* find(std::string_view text_key) const;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  const Value* find_named(std::string_view name) const;
};

class Interpreter;

// Something with identity. Objects are owned by the Interpreter; values hold plain pointers to them.
class Object {
 public:
  Object() = default;
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  virtual std::string type_name() const = 0;
  virtual std::string described() const { return "'" + type_name() + " object'"; }
  virtual std::string printed() const { return "<" + type_name() + ">"; }
  // nullopt when there is no such attribute. May run template code (a loop looks ahead).
  virtual Result<std::optional<Value>> attribute(Interpreter& run, std::string_view name) = 0;
  virtual bool callable() const { return false; }
  virtual Result<Value> call(Interpreter& run, const Arguments& arguments);
};

}  // namespace mlxr::jinja
