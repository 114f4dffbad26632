#pragma once
// Metadata: the ordered key -> typed value store of a GGUF file, read from one or built for a writer. A value: copies
// are independent, and string arrays share the mapping that they point into. Thread-safe while nobody calls a setter.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

// A string array: views into a mapping (a vocabulary of 128k tokens is not copied) or into strings of its own.
struct MetadataStrings {
  MetadataStrings() = default;
  MetadataStrings(std::vector<std::string_view> views, std::shared_ptr<const void> owner)
      : values(std::move(views)), keepalive(std::move(owner)) {}
  explicit MetadataStrings(std::vector<std::string> strings);

  bool operator==(const MetadataStrings& other) const { return values == other.values; }

  std::vector<std::string_view> values;
  std::shared_ptr<const void> keepalive;
};

struct MetadataBools {
  bool operator==(const MetadataBools& other) const = default;

  std::vector<std::uint8_t> values;  // 0 or 1
};

// One alternative for each scalar type of GGUF, and one for each array element type.
using MetadataValue =
    std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t, float, bool,
                 std::string, std::uint64_t, std::int64_t, double, std::vector<std::uint8_t>, std::vector<std::int8_t>,
                 std::vector<std::uint16_t>, std::vector<std::int16_t>, std::vector<std::uint32_t>,
                 std::vector<std::int32_t>, std::vector<float>, MetadataBools, MetadataStrings,
                 std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;

// "u32", "f32", "str", "arr[str]"
std::string metadata_type_name(const MetadataValue& value);
// One line for people: a long string or array is cut after `max_items` elements (or 16 * max_items characters) and its
// size is told.
std::string metadata_text(const MetadataValue& value, std::size_t max_items = 8);

class Metadata {
 public:
  struct Entry {
    std::string key;
    MetadataValue value;
  };

  Metadata() = default;
  // `source` is the file's path, for the errors of require_*.
  explicit Metadata(std::string source) : source_(std::move(source)) {}

  const std::string& source() const { return source_; }
  std::span<const Entry> entries() const { return entries_; }  // in file order
  const MetadataValue* find(std::string_view key) const;       // nullptr when absent
  bool contains(std::string_view key) const { return find(key) != nullptr; }

  // nullopt when the key is absent or its value does not fit the type: a negative integer is no uint, a float no
  // integer; get_float takes every number and get_floats every numeric array. Views live as long as the Metadata.
  std::optional<std::uint64_t> get_uint(std::string_view key) const;
  std::optional<std::int64_t> get_int(std::string_view key) const;
  std::optional<float> get_float(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string_view> get_string(std::string_view key) const;
  std::optional<std::span<const std::string_view>> get_strings(std::string_view key) const;
  std::optional<std::vector<float>> get_floats(std::string_view key) const;
  std::optional<std::vector<std::int64_t>> get_ints(std::string_view key) const;  // any integer or bool array

  // The same with an error that names the file, the key and what is wrong: kNotFound when the key is absent,
  // kInvalidArgument when its value is of another type.
  Result<std::uint64_t> require_uint(std::string_view key) const;
  Result<std::int64_t> require_int(std::string_view key) const;
  Result<float> require_float(std::string_view key) const;
  Result<bool> require_bool(std::string_view key) const;
  Result<std::string_view> require_string(std::string_view key) const;
  Result<std::span<const std::string_view>> require_strings(std::string_view key) const;
  Result<std::vector<float>> require_floats(std::string_view key) const;
  Result<std::vector<std::int64_t>> require_ints(std::string_view key) const;

  // Setters replace the value of a known key in its place and append a new one. set_uint writes u32 when the value fits
  // and u64 otherwise, set_int likewise; `set` keeps the exact type given.
  void set(std::string_view key, MetadataValue value);
  void set_uint(std::string_view key, std::uint64_t value);
  void set_int(std::string_view key, std::int64_t value);
  void set_float(std::string_view key, float value);
  void set_bool(std::string_view key, bool value);
  void set_string(std::string_view key, std::string value);
  void set_strings(std::string_view key, std::vector<std::string> values);
  void set_floats(std::string_view key, std::vector<float> values);
  void set_ints(std::string_view key, std::vector<std::int32_t> values);
  void erase(std::string_view key);

 private:
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
  };

  template <class T>
  Result<T> required(std::string_view key, std::optional<T> value, const char* wanted) const;

  std::string source_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t, KeyHash, std::equal_to<>> index_;
};

}  // namespace mlxr
