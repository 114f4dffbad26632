// mlxr inspect PATH: format, metadata, tensors and totals of a model, read from headers alone.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "core/io/gguf.h"
#include "core/io/hf_folder.h"
#include "core/io/metadata.h"
#include "core/io/open_weights.h"
#include "core/io/safetensors.h"

namespace mlxr::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShownItems = 8;
constexpr std::size_t kShownCharacters = 100;

struct InspectOptions {
  std::string path;
  bool full = false;
};

// One entry of metadata, for people and for programs.
struct Field {
  std::string key;
  std::string type;
  std::string text;
  Json value;
};

struct Description {
  std::string format;              // "GGUF version 3"
  Json facts = Json::object();     // format-specific members of the JSON answer
  std::vector<std::string> files;  // that hold the weights
  std::vector<Field> fields;
  std::vector<std::string> remarks;  // one line each
};

struct TypeTotal {
  std::size_t tensors = 0;
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
};

// A long array becomes {"length": n, "first": [...]} unless `full`.
template <class T, class Range>
Json array_json(const Range& values, bool full) {
  const std::size_t shown = full ? values.size() : std::min(values.size(), kShownItems);
  Json items = Json::array();
  for (std::size_t i = 0; i < shown; ++i)
    items.push_back(static_cast<T>(values[i]));
  if (shown == values.size()) return items;
  return {{"length", values.size()}, {"first", std::move(items)}};
}

Json metadata_json(const MetadataValue& value, bool full) {
  return std::visit(
      [full](const auto& v) -> Json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
          return v;
        } else if constexpr (std::is_same_v<T, MetadataBools>) {
          return array_json<bool>(v.values, full);
        } else if constexpr (std::is_same_v<T, MetadataStrings>) {
          return array_json<std::string>(v.values, full);
        } else {
          return array_json<typename T::value_type>(v, full);
        }
      },
      value);
}

Description describe(const GgufFile& file, bool full) {
  Description result;
  result.format = fmt::format("GGUF version {}", file.version());
  result.facts = {{"format", "gguf"},
                  {"version", file.version()},
                  {"alignment", file.alignment()},
                  {"data_offset", file.data_offset()}};
  result.files.assign(file.shard_paths().begin(), file.shard_paths().end());
  const std::size_t items = full ? SIZE_MAX / 32 : kShownItems;
  for (const Metadata::Entry& entry : file.metadata().entries()) {
    result.fields.push_back({entry.key, metadata_type_name(entry.value), metadata_text(entry.value, items),
                             metadata_json(entry.value, full)});
  }
  return result;
}

Description describe(const SafetensorsFile& file) {
  Description result;
  result.format = "safetensors";
  result.facts = {{"format", "safetensors"}, {"data_offset", file.data_offset()}};
  result.files = {file.path()};
  for (const auto& [key, value] : file.metadata())
    result.fields.push_back({key, "str", value, value});
  return result;
}

Description describe(const HfFolder& folder) {
  Description result;
  result.format = "Hugging Face folder";
  result.facts = {{"format", "huggingface"}};
  result.files.assign(folder.weight_paths().begin(), folder.weight_paths().end());
  for (const auto& [key, value] : folder.config().items()) {
    std::string text = value.is_string() ? value.get<std::string>()
                                         : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    result.fields.push_back({key, value.type_name(), std::move(text), Json(value)});
  }
  if (folder.tokenizer_path()) result.remarks.push_back("tokenizer: " + *folder.tokenizer_path());
  for (const HfFolder::ChatTemplate& one : folder.chat_templates()) {
    result.remarks.push_back(fmt::format("chat template: {} ({} bytes)", one.name, one.text.size()));
  }
  return result;
}

Description describe(const WeightSource& source, bool full) {
  if (const auto* gguf = dynamic_cast<const GgufFile*>(&source)) return describe(*gguf, full);
  if (const auto* safetensors = dynamic_cast<const SafetensorsFile*>(&source)) return describe(*safetensors);
  if (const auto* folder = dynamic_cast<const HfFolder*>(&source)) return describe(*folder);
  return {};
}

std::map<std::string, TypeTotal> totals_by_type(const WeightSource& source) {
  std::map<std::string, TypeTotal> totals;
  for (const WeightTensor& tensor : source.tensors()) {
    TypeTotal& total = totals[quant_info(tensor.type).name];
    total.tensors += 1;
    total.elements += static_cast<std::uint64_t>(tensor.shape.num_elements());
    total.bytes += tensor.bytes.size();
  }
  return totals;
}

TypeTotal sum(const std::map<std::string, TypeTotal>& totals) {
  TypeTotal all;
  for (const auto& [type, total] : totals) {
    all.tensors += total.tensors;
    all.elements += total.elements;
    all.bytes += total.bytes;
  }
  return all;
}

double bits_per_element(const TypeTotal& total) {
  return total.elements == 0 ? 0 : 8.0 * static_cast<double>(total.bytes) / static_cast<double>(total.elements);
}

Json total_json(const TypeTotal& total) {
  return {{"tensors", total.tensors}, {"elements", total.elements}, {"bytes", total.bytes}};
}

Json tensor_json(const WeightTensor& tensor) {
  Json shape = Json::array();
  for (std::size_t i = 0; i < tensor.shape.rank(); ++i)
    shape.push_back(tensor.shape[i]);
  return {{"name", tensor.name},
          {"type", quant_info(tensor.type).name},
          {"shape", std::move(shape)},
          {"bytes", tensor.bytes.size()}};
}

void write_json(Output& output, const InspectOptions& options, const WeightSource& source, const Description& about) {
  Json json = {{"path", options.path}};
  json.update(about.facts);
  json["files"] = about.files;
  Json& metadata = json["metadata"] = Json::object();
  for (const Field& field : about.fields)
    metadata[field.key] = field.value;
  Json& tensors = json["tensors"] = Json::array();
  for (const WeightTensor& tensor : source.tensors())
    tensors.push_back(tensor_json(tensor));
  const auto totals = totals_by_type(source);
  Json& types = json["types"] = Json::object();
  for (const auto& [type, total] : totals)
    types[type] = total_json(total);
  json["total"] = total_json(sum(totals));
  output.write_json(json);
}

void write_heading(Output& output, const std::string& text) {
  output.line("");
  output.line(output.styled(text, Style::kBold));
}

void write_tensors(Output& output, const WeightSource& source) {
  write_heading(output, "Tensors");
  Table table{.header = {"name", "type", "shape", "bytes"},
              .align = {Align::kLeft, Align::kLeft, Align::kLeft, Align::kRight},
              .rows = {}};
  for (const WeightTensor& tensor : source.tensors()) {
    table.rows.push_back({printable(tensor.name), quant_info(tensor.type).name, tensor.shape.to_string(),
                          std::to_string(tensor.bytes.size())});
  }
  output.table(table);
}

void write_totals(Output& output, const std::map<std::string, TypeTotal>& totals) {
  write_heading(output, "Totals");
  Table table{.header = {"type", "tensors", "parameters", "bytes", "bits each"},
              .align = {Align::kLeft, Align::kRight, Align::kRight, Align::kRight, Align::kRight},
              .rows = {}};
  const auto add = [&](const std::string& name, const TypeTotal& total) {
    table.rows.push_back({name, std::to_string(total.tensors), std::to_string(total.elements),
                          std::to_string(total.bytes), fmt::format("{:.2f}", bits_per_element(total))});
  };
  for (const auto& [type, total] : totals)
    add(type, total);
  if (totals.size() > 1) add("all", sum(totals));
  output.table(table);
}

void write_text(Output& output, const InspectOptions& options, const WeightSource& source, const Description& about) {
  const auto totals = totals_by_type(source);
  const TypeTotal all = sum(totals);
  output.line(fmt::format("{}: {}, {} tensors, {} parameters, {}", printable(options.path), about.format, all.tensors,
                          format_count(static_cast<double>(all.elements)),
                          format_bytes(static_cast<double>(all.bytes))));
  if (about.files.size() > 1) output.line(fmt::format("in {} files", about.files.size()));
  for (const std::string& remark : about.remarks)
    output.line(printable(remark));

  if (!about.fields.empty()) {
    write_heading(output, "Metadata");
    Table table;
    for (const Field& field : about.fields) {
      const std::string text = printable(field.text);
      table.rows.push_back({printable(field.key), field.type, options.full ? text : shortened(text, kShownCharacters)});
    }
    output.table(table);
  }
  if (all.tensors == 0) return;
  write_tensors(output, source);
  write_totals(output, totals);
}

Status inspect(const InspectOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::unique_ptr<WeightSource> source, open_weights(options.path));
  const Description about = describe(*source, options.full);
  if (output.json()) {
    write_json(output, options, *source, about);
  } else {
    write_text(output, options, *source, about);
  }
  return {};
}

}  // namespace

CommandBody declare_inspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  app.add_option("path", options->path, "GGUF or safetensors file (any file of a split set), or Hugging Face folder")
      ->required();
  app.add_flag("--full", options->full, "Show long values and arrays whole");
  return [options](Output& output) { return inspect(*options, output); };
}

}  // namespace mlxr::cli
