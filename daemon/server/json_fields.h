#pragma once
// Reading the members of a request's JSON objects: each known one is taken with its type and range checked, each
// unknown one is reported. Nothing is dropped in silence.
//
//   RequestNotes notes;
//   JsonFields fields(body, "", notes);
//   call.options.model = fields.required_string("model");
//   call.n = static_cast<int>(fields.integer("n", {.min = 1, .max = 128}).value_or(1));
//   fields.finish();                                   // what was not asked for: a warning each
//   if (notes.error) return refuse(*notes.error);
//
// null stands for absent, as clients send it. The first error stays; after one, reads go on and mean nothing.

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/server/json.h"
#include "daemon/server/server_errors.h"

namespace mlxr::server {

// What was found while a request was read.
struct RequestNotes {
  std::optional<ApiError> error;
  std::vector<std::string> warnings;

  bool ok() const { return !error.has_value(); }
  void fail(ApiErrorKind kind, const std::string& field, const std::string& message);
  // kInvalidRequest: "field 'x' ...".
  void invalid(const std::string& field, const std::string& what);
  void warn(std::string text) { warnings.push_back(std::move(text)); }
};

// A member that is known and has no place in a call.
enum class FieldTreatment : std::uint8_t {
  kSilent,  // has no meaning here, and its absence no effect
  kWarn,    // would have changed the answer
  kRefuse,  // the answer would not be what was asked for. Values that ask for nothing (null, false, 0, -1, "", [], {})
            // are taken
};

struct KnownField {
  std::string_view name;
  FieldTreatment treatment;
  std::string_view reason;  // of kWarn and kRefuse: a clause, "slots are assigned by the server"
};

template <class T>
struct Range {
  T min = std::numeric_limits<T>::lowest();
  T max = std::numeric_limits<T>::max();
};

// "the string \"abc\"", "the number 7", "an array", for errors.
std::string describe_json(const Json& value);

class JsonFields {
 public:
  // `object` and `notes` outlive this. `path` is what stands before a member's name in errors: "messages[2]." An error
  // when `object` is no object: then every member is absent.
  JsonFields(const Json& object, std::string path, RequestNotes& notes);

  bool has(std::string_view name) const { return look(name) != nullptr; }
  // Marks it as known. nullptr: absent or null.
  const Json* any(std::string_view name);
  const Json* object(std::string_view name);
  const Json* array(std::string_view name);
  std::optional<bool> boolean(std::string_view name);
  // Also a float without a fraction, as some clients write whole numbers.
  std::optional<std::int64_t> integer(std::string_view name, Range<std::int64_t> range = {});
  std::optional<double> number(std::string_view name, Range<double> range = {});
  std::optional<std::string> string(std::string_view name);
  // One of `allowed`.
  std::optional<std::string> choice(std::string_view name, std::initializer_list<std::string_view> allowed);
  // A string or an array of strings.
  std::optional<std::vector<std::string>> strings(std::string_view name, std::size_t max_count);
  // An array of token ids.
  std::optional<std::vector<std::int32_t>> tokens(std::string_view name, std::size_t max_count);
  // Absent is an error.
  std::string required_string(std::string_view name);
  const Json* required_array(std::string_view name);

  void treat(std::span<const KnownField> fields);
  // Every member that was not named: a warning each, of the first ones.
  void finish();
  // The same as errors.
  void refuse_others();

  std::string path_of(std::string_view name) const { return path_ + std::string(name); }
  RequestNotes& notes() { return notes_; }
  // kInvalidRequest: field 'path.name' `what`.
  void invalid(std::string_view name, const std::string& what) { notes_.invalid(path_of(name), what); }

 private:
  const Json* look(std::string_view name) const;
  const Json* mark(std::string_view name);
  void wrong_type(std::string_view name, std::string_view wanted, const Json& value);

  const Json& object_;
  std::string path_;
  RequestNotes& notes_;
  std::vector<bool> known_;  // by member
};

// The whole number that a JSON value holds, written as an integer or as a float without a fraction.
std::optional<std::int64_t> whole_number(const Json& value);

}  // namespace mlxr::server
