#include "core/runtime/convert/convert_model.h"

#include <filesystem>
#include <system_error>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/io/gguf.h"
#include "core/io/gguf_writer.h"
#include "core/io/open_weights.h"
#include "core/io/safetensors_writer.h"
#include "core/runtime/convert/side_files.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

enum class Kind { kGguf, kSafetensors, kFolder };

Kind kind_of(const std::string& out) {
  if (out.ends_with(".gguf")) return Kind::kGguf;
  return out.ends_with(".safetensors") ? Kind::kSafetensors : Kind::kFolder;
}

Status check_types(const ModelPlan& plan, Kind kind) {
  if (kind == Kind::kGguf) return {};
  for (const PlannedTensor& tensor : plan.tensors) {
    if (quant_info(tensor.type).safetensors_name != nullptr) continue;
    return invalid_argument(
        fmt::format("tensor \"{}\" would be {}, which safetensors cannot hold: add --type BF16, F16 or F32",
                    tensor.name, quant_info(tensor.type).name));
  }
  return {};
}

Status check_paths(const std::string& source, const std::string& out) {
  std::error_code error;
  if (fs::exists(out, error) && fs::equivalent(source, out, error)) {
    return invalid_argument(out + ": is the source itself");
  }
  return {};
}

struct Job {
  const std::string& source_path;
  const std::string& out;
  const ConvertOptions& options;
  ThreadPool& pool;
  const Importance* importance;
  ConvertReport report;
};

Status write_with(WeightWriter& writer, const ModelPlan& plan, Job& job) {
  TensorWriteOptions write;
  write.importance = job.importance;
  write.on_tensor = [&job](const TensorReport& tensor) { job.report.tensors.push_back(tensor); };
  MLXR_RETURN_IF_ERROR(write_tensors(writer, plan.tensors, job.pool, write));
  job.report.files.assign(writer.paths().begin(), writer.paths().end());
  return {};
}

Status write_gguf_file(const WeightSource& source, const ModelPlan& plan, Job& job) {
  Metadata metadata;
  MLXR_RETURN_IF_ERROR(gguf_metadata(source, job.source_path, plan, metadata, job.report.warnings));
  if (job.options.mix) metadata.set("general.file_type", job.options.mix->file_type);
  metadata.set("general.quantization_version", std::uint32_t{2});
  if (job.importance != nullptr) {
    metadata.set_string("quantize.imatrix.file", fs::path(job.options.importance_path).filename().string());
    metadata.set("quantize.imatrix.entries_count", static_cast<std::uint32_t>(job.importance->entries.size()));
    metadata.set("quantize.imatrix.chunks_count", static_cast<std::uint32_t>(job.importance->num_chunks));
  }
  GgufWriter writer(job.out, std::move(metadata),
                    {.max_shard_bytes = job.options.max_shard_bytes, .progress = job.options.progress});
  return write_with(writer, plan, job);
}

Status write_safetensors_file(const std::string& path, const ModelPlan& plan, Job& job) {
  SafetensorsWriter writer(path, {{"format", "pt"}},
                           {.max_shard_bytes = job.options.max_shard_bytes, .progress = job.options.progress});
  return write_with(writer, plan, job);
}

Status write_folder(const WeightSource& source, const ModelPlan& plan, Job& job) {
  std::error_code error;
  fs::create_directories(job.out, error);
  if (error) return internal(job.out + ": cannot make the folder: " + error.message());
  MLXR_RETURN_IF_ERROR(write_safetensors_file((fs::path(job.out) / "model.safetensors").string(), plan, job));
  return write_side_files(source, job.source_path, plan, job.out, job.report.warnings);
}

}  // namespace

Result<ConvertReport> convert_model(const std::string& source_path, const std::string& out, ThreadPool& pool,
                                    const ConvertOptions& options) {
  MLXR_RETURN_IF_ERROR(check_paths(source_path, out));
  MLXR_ASSIGN_OR_RETURN(const std::unique_ptr<WeightSource> source, open_weights(source_path));
  std::optional<Importance> importance;
  if (!options.importance_path.empty()) {
    MLXR_ASSIGN_OR_RETURN(importance, read_importance(options.importance_path));
  }
  const Kind kind = kind_of(out);
  const Importance* weights = importance ? &*importance : nullptr;
  Result<ModelPlan> plan = plan_model(*source, {.target = kind == Kind::kGguf ? Naming::kGguf : Naming::kHuggingFace,
                                                .mix = options.mix,
                                                .pure = options.pure,
                                                .importance = weights});
  if (!plan.ok()) return plan.status().with_context(source_path);
  MLXR_RETURN_IF_ERROR(check_types(*plan, kind));
  Job job{source_path, out, options, pool, weights, {}};
  job.report.warnings = plan->warnings;
  switch (kind) {
    case Kind::kGguf:
      MLXR_RETURN_IF_ERROR(write_gguf_file(*source, *plan, job));
      break;
    case Kind::kSafetensors:
      MLXR_RETURN_IF_ERROR(write_safetensors_file(out, *plan, job));
      job.report.warnings.push_back("bare tensors only: for a config and a tokenizer beside them, let OUT be a folder");
      break;
    case Kind::kFolder:
      MLXR_RETURN_IF_ERROR(write_folder(*source, *plan, job));
      break;
  }
  return std::move(job.report);
}

}  // namespace mlxr
