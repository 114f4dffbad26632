#include "cli/conversion.h"

#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/progress.h"
#include "core/runtime/convert/convert_model.h"
#include "core/runtime/model_path.h"

namespace mlxr::cli {
namespace {

nlohmann::ordered_json report_json(const ConvertReport& report) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
  for (const TensorReport& tensor : report.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"from", quant_info(tensor.from).name},
                       {"to", quant_info(tensor.to).name},
                       {"bytes", tensor.bytes},
                       {"relative_error", tensor.relative_error}});
  }
  return {{"files", report.files}, {"tensors", std::move(tensors)}, {"warnings", report.warnings}};
}

void print_report(const ConvertReport& report, bool details, Output& output) {
  std::size_t bytes = 0;
  Table table{.header = {"tensor", "from", "to", "bytes", "rms error"},
              .align = {Align::kLeft, Align::kLeft, Align::kLeft, Align::kRight, Align::kRight},
              .rows = {}};
  for (const TensorReport& tensor : report.tensors) {
    bytes += tensor.bytes;
    table.rows.push_back({tensor.name, quant_info(tensor.from).name, quant_info(tensor.to).name,
                          std::to_string(tensor.bytes), fmt::format("{:.4f}", tensor.relative_error)});
  }
  if (details) output.table(table);
  for (const std::string& warning : report.warnings)
    output.line("warning: " + warning);
  for (const std::string& file : report.files)
    output.line(file);
  output.line(fmt::format("{} tensors, {}", report.tensors.size(), format_bytes(static_cast<double>(bytes))));
}

}  // namespace

Status run_conversion(const ConversionOptions& options, const char* label, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::string source, resolve_model(options.source));
  ConvertOptions convert;
  if (!options.type.empty()) {
    MLXR_ASSIGN_OR_RETURN(convert.mix, find_quant_mix(options.type));
  }
  convert.pure = options.pure;
  convert.importance_path = options.imatrix;
  convert.max_shard_bytes = options.shard_mib << 20;
  Progress progress({.label = label, .unit = ProgressUnit::kBytes});
  convert.progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.set_total(total);
    progress.update(done);
  };
  ThreadPool pool({.num_threads = options.threads});
  MLXR_ASSIGN_OR_RETURN(const ConvertReport report, convert_model(source, options.out, pool, convert));
  progress.finish();
  if (output.json()) {
    output.write_json(report_json(report));
  } else {
    print_report(report, options.details, output);
  }
  return {};
}

void add_conversion_options(CLI::App& app, ConversionOptions& options) {
  app.add_option("--threads", options.threads, "threads (default: the physical cores)")->check(CLI::Range(1, 4096));
  app.add_option("--max-shard-mib", options.shard_mib, "split the output into files of about this size")
      ->check(CLI::Range(1, 1 << 20));
  app.add_flag("--details", options.details, "list every tensor with the error that its type makes");
}

}  // namespace mlxr::cli
