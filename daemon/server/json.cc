#include "daemon/server/json.h"

#include <cstdint>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/base/utf8.h"

namespace mlxr::server {
namespace {

// Builds the value from the parser's events. nlohmann's own builder looks for each member among all earlier ones of the
// object, which a hostile body makes quadratic, and keeps one of two members of the same name without a word.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(const BodyLimits& limits) : limits_(limits) {}

  Json take() { return std::move(root_); }
  const std::string& error() const { return error_; }

  bool null() override { return add(Json(nullptr)); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(number_integer_t value) override { return add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(Json(value)); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return add(Json(value)); }
  bool string(string_t& value) override { return add(Json(std::move(value))); }
  bool binary(binary_t& /*value*/) override { return false; }

  bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Frame& frame = open_.back();
    if (!frame.names.insert(name).second) return fail(fmt::format("member {} comes twice", json_quoted(name)));
    if (frame.names.size() > limits_.max_members) {
      return fail(fmt::format("an object has more than {} members", limits_.max_members));
    }
    frame.name = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& error) override {
    // "[json.exception...] parse error at line 1, column 7: syntax error while parsing value - invalid literal; last
    // read: ..." The reason stands between the dash and what was read.
    std::string_view reason = error.what();
    if (const std::size_t end = reason.find("] "); end != std::string_view::npos) reason.remove_prefix(end + 2);
    if (const std::size_t dash = reason.find(" - "); dash != std::string_view::npos) reason.remove_prefix(dash + 3);
    reason = reason.substr(0, reason.find("; "));
    return fail(fmt::format("not JSON at byte {}: {}", position, to_valid_utf8(reason)));
  }

 private:
  struct Frame {
    Json value;
    std::string name;  // of the member that comes next
    std::unordered_set<std::string> names;
  };

  bool fail(std::string error) {
    if (error_.empty()) error_ = std::move(error);
    return false;
  }

  bool open(Json value) {
    if (open_.size() >= limits_.max_depth) {
      return fail(fmt::format("arrays and objects are nested more than {} deep", limits_.max_depth));
    }
    open_.push_back(Frame{std::move(value), {}, {}});
    return true;
  }

  bool close() {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(value));
  }

  bool add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Frame& frame = open_.back();
    if (frame.value.is_array()) {
      frame.value.push_back(std::move(value));
    } else {
      using Members = std::vector<std::pair<const std::string, Json>>;
      static_cast<Members&>(frame.value.get_ref<Json::object_t&>())
          .emplace_back(std::move(frame.name), std::move(value));
    }
    return true;
  }

  const BodyLimits limits_;
  std::vector<Frame> open_;
  Json root_;
  std::string error_;
};

}  // namespace

Result<Json> parse_json_text(std::string_view text, const BodyLimits& limits) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return invalid_argument("the request has no body");
  Builder builder(limits);
  bool whole = false;
  try {
    whole = Json::sax_parse(text.begin(), text.end(), &builder);
  } catch (const nlohmann::json::exception& error) {
    return invalid_argument(fmt::format("the body is not JSON: {}", to_valid_utf8(error.what())));
  }
  if (!whole) {
    return invalid_argument(
        fmt::format("the body: {}", builder.error().empty() ? std::string("not JSON") : builder.error()));
  }
  return builder.take();
}

std::string json_text(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json_quoted(std::string_view text) {
  return json_text(Json(std::string(text)));
}

}  // namespace mlxr::server
