#include "daemon/registry/model_sources.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>
#include <system_error>

#include <fmt/core.h>

#include "core/base/thread_pool.h"
#include "core/io/gguf.h"
#include "core/io/open_weights.h"
#include "core/io/shard_name.h"
#include "core/runtime/convert/convert_model.h"
#include "core/runtime/convert/quant_mix.h"
#include "daemon/registry/folder_view.h"
#include "daemon/registry/model_facts.h"
#include "daemon/registry/visible_text.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFiles = 2000;

// A file or folder that goes unless it was moved away.
class Temporary {
 public:
  explicit Temporary(std::string path) : path_(std::move(path)) {}
  ~Temporary() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string temporary_path(const std::string& folder, const char* suffix) {
  static std::atomic<int> counter{0};
  return fmt::format("{}/.mlxr-create-{}-{}{}", folder, ::getpid(), counter.fetch_add(1), suffix);
}

bool has_extension(const std::string& name, std::string_view extension) {
  return fs::path(name).extension().string() == extension;
}

Status check_files(const std::vector<NamedBlob>& files, const BlobStore& blobs) {
  if (files.size() > kMaxFiles) return invalid_argument(fmt::format("more than {} files", kMaxFiles));
  std::set<std::string> names;
  for (const auto& [name, digest] : files) {
    const std::string shown = visible_text(name, 100);
    if (!is_safe_file_name(name)) {
      return invalid_argument(fmt::format("invalid file name \"{}\": it must be relative, without \"..\"", shown));
    }
    if (!names.insert(name).second) return invalid_argument(fmt::format("the file \"{}\" is given twice", shown));
    if (!blobs.has(digest)) return not_found(fmt::format("blob {} of the file \"{}\" does not exist", digest, shown));
  }
  return {};
}

Result<QuantMix> quantization(const std::string& name, const ModelDetails& source) {
  auto mix = find_quant_mix(name);
  if (!mix.ok()) return invalid_argument(fmt::format("unsupported quantization type: {}", mix.status().message()));
  const std::string& from = source.quantization_level;
  if (from != "F32" && from != "F16" && from != "BF16") {
    return invalid_argument(
        fmt::format("quantization is only supported for F32, F16 and BF16 models; this one is {} already", from));
  }
  return mix;
}

}  // namespace

// --- progress
// ----------------------------------------------------------------------------------------------------------

Status CreateProgress::tell(const std::string& status) {
  last_done_ = 0;
  if (sink_ && !cancelled_) cancelled_ = !sink_({.status = status});
  return stopped();
}

bool CreateProgress::tell_bytes(const std::string& status, const std::string& digest, std::uint64_t total,
                                std::uint64_t done) {
  // A line each hundredth is enough for any bar.
  const std::uint64_t step = std::max<std::uint64_t>(total / 100, 1);
  if (!sink_ || cancelled_ || (done < last_done_ + step && done != total)) return !cancelled_;
  last_done_ = done;
  cancelled_ = !sink_({status, digest, total, done});
  return !cancelled_;
}

Status CreateProgress::stopped() const {
  return cancelled_ ? cancelled("creating the model was cancelled") : Status();
}

// --- layers
// ------------------------------------------------------------------------------------------------------------

Result<Layer> SourceLayers::file_layer(const std::string& path, std::string_view media_type) {
  const auto stamp = file_stamp(path);
  if (!stamp || !stamp->is_file) return not_found(path + ": no such file");
  const std::string status = "copying " + visible_text(fs::path(path).filename().string(), 100);
  MLXR_RETURN_IF_ERROR(progress_.tell(status));
  MLXR_ASSIGN_OR_RETURN(std::string digest, catalog_.blobs().add_file(path, [&](std::uint64_t done) {
    return progress_.tell_bytes(status, "", stamp->size_bytes, done);
  }));
  MLXR_RETURN_IF_ERROR(progress_.tell("creating new layer " + digest));
  const std::uint64_t size = catalog_.blobs().size(digest).value_or(0);
  return Layer{std::string(media_type), std::move(digest), size};
}

Result<std::string> SourceLayers::media_type_of_gguf(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const auto file, GgufFile::open(path));
  const Metadata& metadata = file->metadata();
  if (metadata.get_string("general.architecture") == "clip") return std::string(media::kProjector);
  if (metadata.get_string("general.type") == "adapter") return std::string(media::kAdapter);
  return std::string(media::kModel);
}

Result<std::vector<Layer>> SourceLayers::converted(const std::string& path, const std::string& quantize,
                                                   const std::string& status) {
  MLXR_ASSIGN_OR_RETURN(const ModelFacts facts, inspect_model(path));
  ConvertOptions options;
  if (!quantize.empty()) {
    MLXR_ASSIGN_OR_RETURN(options.mix, quantization(quantize, facts.details));
  }
  const std::string line =
      quantize.empty() ? status
                       : fmt::format("quantizing {} model to {}", facts.details.quantization_level, options.mix->name);
  MLXR_RETURN_IF_ERROR(progress_.tell(line));
  options.progress = [&](std::uint64_t done, std::uint64_t total) { progress_.tell_bytes(line, "", total, done); };
  const Temporary out(temporary_path(catalog_.blobs().folder(), ".gguf"));
  ThreadPool pool({.num_threads = num_threads_});
  MLXR_RETURN_IF_ERROR(convert_model(path, out.path(), pool, options).status());
  MLXR_RETURN_IF_ERROR(progress_.stopped());
  MLXR_RETURN_IF_ERROR(progress_.tell("verifying conversion"));
  MLXR_RETURN_IF_ERROR(GgufFile::open(out.path()).status());
  MLXR_ASSIGN_OR_RETURN(std::string digest, digest_of_file(out.path()));
  const std::uint64_t size = file_stamp(out.path()).value_or(FileStamp()).size_bytes;
  if (catalog_.blobs().reuse(digest)) {
    MLXR_RETURN_IF_ERROR(progress_.tell("using existing layer " + digest));
  } else {
    MLXR_RETURN_IF_ERROR(catalog_.blobs().adopt(out.path(), digest, /*known_good=*/true));
    MLXR_RETURN_IF_ERROR(progress_.tell("creating new layer " + digest));
  }
  return std::vector<Layer>{{std::string(media::kModel), std::move(digest), size}};
}

Result<std::vector<Layer>> SourceLayers::quantized(const std::string& path, const std::string& quantize) {
  return converted(path, quantize, "converting model");
}

Result<std::vector<Layer>> SourceLayers::shards(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const auto files, model_files(path));
  std::vector<Layer> layers;
  for (const ModelFile& file : files) {
    MLXR_ASSIGN_OR_RETURN(Layer layer, file_layer(file.path, media::kModel));
    if (files.size() > 1) layer.name = fs::path(file.path).filename().string();
    layers.push_back(std::move(layer));
  }
  return layers;
}

Result<std::vector<Layer>> SourceLayers::folder_files(const std::string& folder) {
  MLXR_ASSIGN_OR_RETURN(const auto files, model_files(folder));
  std::vector<Layer> layers;
  for (const ModelFile& file : files) {
    MLXR_ASSIGN_OR_RETURN(Layer layer, file_layer(file.path, media::kFile));
    layer.name = fs::path(file.path).filename().string();
    layers.push_back(std::move(layer));
  }
  return layers;
}

Result<std::vector<Layer>> SourceLayers::from_path(const std::string& path, const std::string& quantize) {
  const auto stamp = file_stamp(path);
  if (!stamp) return not_found(path + ": no such file or folder");
  if (!stamp->is_folder) {
    MLXR_RETURN_IF_ERROR(progress_.tell("parsing GGUF"));
    MLXR_RETURN_IF_ERROR(GgufFile::open(path).status());
    return quantize.empty() ? shards(path) : quantized(path, quantize);
  }
  auto layers = converted(path, quantize, "converting model");
  const bool keep = !layers.ok() && layers.status().code() == StatusCode::kUnsupported && quantize.empty();
  if (!keep) return layers;
  return folder_files(path);
}

Result<std::vector<Layer>> SourceLayers::from_blobs(const std::vector<NamedBlob>& files, const std::string& quantize) {
  BlobStore& blobs = catalog_.blobs();
  MLXR_RETURN_IF_ERROR(check_files(files, blobs));
  // Under their names, as whoever uploaded them had them.
  const Temporary folder(temporary_path(catalog_.models_folder(), ""));
  std::error_code error;
  std::vector<std::string> ggufs;
  bool has_safetensors = false;
  std::vector<Layer> layers;
  for (const auto& [name, digest] : files) {
    blobs.reuse(digest);
    const fs::path link = fs::path(folder.path()) / name;
    fs::create_directories(link.parent_path(), error);
    fs::create_symlink(fs::absolute(blobs.path(digest)), link, error);
    if (error) return internal(fmt::format("{}: cannot link: {}", link.string(), error.message()));
    has_safetensors = has_safetensors || has_extension(name, ".safetensors");
    if (has_extension(name, ".safetensors") || has_extension(name, ".json") || has_extension(name, ".jinja")) continue;
    ggufs.push_back(name);
  }
  if (has_safetensors) return from_path(folder.path(), quantize);
  MLXR_RETURN_IF_ERROR(progress_.tell("parsing GGUF"));
  for (const std::string& name : ggufs) {
    const auto found =
        std::find_if(files.begin(), files.end(), [&](const NamedBlob& file) { return file.first == name; });
    const std::string& digest = found->second;
    const bool is_shard = parse_shard_name(name, ".gguf").has_value();
    std::string type(media::kModel);
    if (!is_shard) {
      auto known = media_type_of_gguf(blobs.path(digest));
      if (!known.ok()) return invalid_argument(fmt::format("\"{}\": {}", name, known.status().message()));
      type = std::move(*known);
    }
    if (type == media::kModel && !quantize.empty()) {
      MLXR_ASSIGN_OR_RETURN(auto made, quantized(folder.path() + "/" + name, quantize));
      layers.insert(layers.end(), made.begin(), made.end());
      if (is_shard) break;  // the whole set at once
      continue;
    }
    MLXR_RETURN_IF_ERROR(progress_.tell("using existing layer " + digest));
    layers.push_back({type, digest, blobs.size(digest).value_or(0), is_shard ? name : ""});
  }
  const auto is_model = [](const Layer& layer) { return layer.media_type == media::kModel && layer.name.empty(); };
  if (std::count_if(layers.begin(), layers.end(), is_model) > 1) {
    return invalid_argument("the files hold more than one model");
  }
  return layers;
}

}  // namespace mlxr
