#include "core/io/safetensors_header.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/checked.h"
#include "core/io/byte_reader.h"

namespace mlxr {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxRank = 16;
constexpr std::size_t kMaxDtypeBytes = 16;
constexpr std::string_view kMetadataName = "__metadata__";

// Takes the parser's events and accepts only the format's own structure; a handler that answers false stops the parser.
class HeaderHandler : public nlohmann::json_sax<json> {
 public:
  SafetensorsHeader& header() { return header_; }
  const std::string& error() const { return error_; }
  std::size_t error_byte() const { return error_byte_; }

  bool start_object(std::size_t /*count*/) override {
    if (level_ == Level::kOutside) return enter(Level::kFile);
    if (level_ == Level::kFile && !key_.empty()) {
      if (key_ == kMetadataName) return enter(Level::kMetadata);
      header_.entries.push_back({key_, {}, {}, {}});
      fields_seen_ = 0;
      return enter(Level::kTensor);
    }
    return unexpected("an object");
  }

  bool end_object() override {
    if (level_ == Level::kTensor) {
      if (fields_seen_ != kAllFields) return fail("needs dtype, shape and data_offsets");
      if (header_.entries.back().data_offsets.size() != 2) return fail("data_offsets does not have two numbers");
    }
    level_ = level_ == Level::kFile ? Level::kDone : Level::kFile;
    return true;
  }

  bool key(std::string& name) override {
    if (level_ == Level::kFile) {
      if (name.empty()) return fail("has an empty name");
      key_ = std::move(name);
    } else {
      field_ = std::move(name);
    }
    return true;
  }

  bool string(std::string& text) override {
    if (level_ == Level::kMetadata) {
      header_.metadata[field_] = std::move(text);
      return true;
    }
    if (level_ != Level::kTensor || field_ != "dtype" || in_array_) return unexpected("a string");
    if (text.size() > kMaxDtypeBytes) return fail("dtype " + quote_name(text) + " is unknown");
    header_.entries.back().dtype = std::move(text);
    return see(kDtype);
  }

  bool start_array(std::size_t /*count*/) override {
    if (level_ != Level::kTensor || in_array_) return unexpected("an array");
    in_array_ = true;
    if (field_ == "shape") return see(kShape);
    if (field_ == "data_offsets") return see(kOffsets);
    return unexpected("an array");
  }

  bool end_array() override {
    in_array_ = false;
    return true;
  }

  bool number_unsigned(json::number_unsigned_t value) override {
    if (level_ != Level::kTensor || !in_array_) return unexpected("a number");
    SafetensorsEntry& entry = header_.entries.back();
    if (field_ == "data_offsets") {
      if (entry.data_offsets.size() == 2) return fail("data_offsets does not have two numbers");
      entry.data_offsets.push_back(value);
      return true;
    }
    const auto dim = checked_cast<std::int64_t>(value);
    if (!dim) return fail(fmt::format("dimension {} is out of range", value));
    if (entry.shape.size() == kMaxRank) return fail(fmt::format("has more than {} dimensions", kMaxRank));
    entry.shape.push_back(*dim);
    return true;
  }

  bool number_integer(json::number_integer_t value) override {
    return fail(fmt::format("{} has the negative number {}", quote_name(field_), value));
  }
  bool number_float(json::number_float_t /*value*/, const std::string& /*text*/) override {
    return unexpected("a number that is no integer");
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool /*value*/) override { return unexpected("a bool"); }
  bool binary(json::binary_t& /*value*/) override { return unexpected("binary data"); }

  bool parse_error(std::size_t position, const std::string& /*last*/, const json::exception& /*error*/) override {
    error_byte_ = position > 0 ? position - 1 : 0;
    return false;
  }

 private:
  enum class Level { kOutside, kFile, kTensor, kMetadata, kDone };
  static constexpr unsigned kDtype = 1;
  static constexpr unsigned kShape = 2;
  static constexpr unsigned kOffsets = 4;
  static constexpr unsigned kAllFields = 7;

  bool enter(Level level) {
    level_ = level;
    field_.clear();
    return true;
  }

  bool see(unsigned field) {
    if ((fields_seen_ & field) != 0) return fail("has the field " + quote_name(field_) + " twice");
    fields_seen_ |= field;
    return true;
  }

  bool unexpected(const char* what) {
    if (level_ == Level::kOutside) {
      error_ = fmt::format("the JSON is {}, not an object", what);
      return false;
    }
    if (level_ == Level::kFile) return fail(fmt::format("is {}, not an object", what));
    return fail(fmt::format("field {} has {}", quote_name(field_), what));
  }

  bool fail(const std::string& reason) {
    error_ = (key_ == kMetadataName ? key_ : "tensor " + quote_name(key_)) + " " + reason;
    return false;
  }

  SafetensorsHeader header_;
  Level level_ = Level::kOutside;
  bool in_array_ = false;
  unsigned fields_seen_ = 0;
  std::string key_;
  std::string field_;
  std::string error_;
  std::size_t error_byte_ = 0;
};

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, std::size_t text_offset) {
  HeaderHandler handler;
  bool parsed = false;
  try {
    parsed = json::sax_parse(text, &handler);
  } catch (const json::exception& error) {
    return corrupt(fmt::format("header at offset {} is not valid: {}", text_offset, error.what()));
  }
  if (!handler.error().empty()) return corrupt("header: " + handler.error());
  if (!parsed) {
    return corrupt(fmt::format("header is not valid JSON at offset {}", text_offset + handler.error_byte()));
  }
  return std::move(handler.header());
}

}  // namespace mlxr
