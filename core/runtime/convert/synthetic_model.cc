#include "core/runtime/convert/synthetic_model.h"

#include <cmath>
#include <cstring>
#include <map>
#include <numbers>

#include <fmt/core.h>

#include "core/io/gguf_writer.h"
#include "core/models/architecture.h"
#include "core/models/config_reader.h"
#include "core/runtime/tokenizer/tokenizer_gguf.h"

namespace mlxr {
namespace {

struct ShapeRow {
  const char* name;
  std::int64_t hidden, layers, heads, kv_heads, head_dim, ffn, vocab, context;
  float theta;
  bool tied;
};
// From the published config.json of each model.
constexpr ShapeRow kShapes[] = {
    {"sprout", 512, 8, 8, 2, 64, 1536, 8192, 2048, 1e4F, true},
    {"smollm2-135m", 576, 30, 9, 3, 64, 1536, 49152, 8192, 1e5F, true},
    {"tinyllama-1.1b", 2048, 22, 32, 4, 64, 5632, 32000, 2048, 1e4F, false},
    {"llama-3.2-1b", 2048, 16, 32, 8, 64, 8192, 128256, 131072, 5e5F, true},
    {"llama-3.2-3b", 3072, 28, 24, 8, 128, 8192, 128256, 131072, 5e5F, true},
    {"llama-2-7b", 4096, 32, 32, 32, 128, 11008, 32000, 4096, 1e4F, false},
    {"mistral-7b", 4096, 32, 32, 8, 128, 14336, 32000, 32768, 1e6F, false},
    {"llama-3-8b", 4096, 32, 32, 8, 128, 14336, 128256, 8192, 5e5F, false},
    {"llama-2-13b", 5120, 40, 40, 40, 128, 13824, 32000, 4096, 1e4F, false},
    {"llama-3-70b", 8192, 80, 64, 8, 128, 28672, 128256, 8192, 5e5F, false},
};

// splitmix64 (Steele, Lea and Flood 2014): any seed is good.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  // In (0, 1].
  double uniform() { return (static_cast<double>(next() >> 11) + 1.0) * 0x1p-53; }
  float normal() {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * uniform()));
  }

 private:
  std::uint64_t state_;
};

constexpr std::size_t kPoolElements = std::size_t{1} << 16;
constexpr std::size_t kWriteBytes = std::size_t{1} << 20;

// Encoded blocks of one type and scale.
class BlockPool {
 public:
  BlockPool(QuantType type, float deviation, Random& random) : block_bytes_(quant_info(type).block_bytes) {
    std::vector<float> values(kPoolElements);
    for (float& value : values)
      value = random.normal() * deviation;
    blocks_.resize(*quant_row_bytes(type, values.size()));
    encode_row(type, values, {}, blocks_);
  }

  void fill(std::span<std::byte> out, Random& random) const {
    // Runs of blocks keep this at the speed of a copy.
    constexpr std::size_t kRunBlocks = 32;
    const std::size_t run = kRunBlocks * block_bytes_;
    const std::size_t starts = (blocks_.size() - run) / block_bytes_ + 1;
    for (std::size_t i = 0; i < out.size(); i += run) {
      const std::size_t start = random.next() % starts * block_bytes_;
      std::memcpy(out.data() + i, blocks_.data() + start, std::min(run, out.size() - i));
    }
  }

 private:
  std::size_t block_bytes_;
  std::vector<std::byte> blocks_;
};

struct SyntheticTensor {
  std::string name;
  QuantType type = QuantType::kF32;
  Shape shape;
};

Shape shape_of(std::string_view stem, const ModelConfig& c) {
  const std::int64_t q_rows = c.num_heads * c.head_dim;
  const std::int64_t kv_rows = c.num_kv_heads * c.head_dim;
  if (stem.ends_with("norm")) return {c.hidden_size};
  if (stem == "attn_q") return {q_rows, c.hidden_size};
  if (stem == "attn_k" || stem == "attn_v") return {kv_rows, c.hidden_size};
  if (stem == "attn_output") return {c.hidden_size, q_rows};
  if (stem == "ffn_gate" || stem == "ffn_up") return {c.ffn_size, c.hidden_size};
  if (stem == "ffn_down") return {c.hidden_size, c.ffn_size};
  return {c.vocab_size, c.hidden_size};  // token_embd, output
}

std::vector<SyntheticTensor> plan(const ModelConfig& config, const QuantMix& mix) {
  std::vector<SyntheticTensor> tensors;
  const auto add = [&](const TensorRow& row, std::int64_t layer) {
    std::string name = tensor_stem(row, Naming::kGguf, layer);
    const std::string_view stem = std::string_view(name).substr(name.rfind('.') + 1);
    if (stem == "output" && config.tied_embeddings) return;
    const Shape shape = shape_of(stem, config);
    const QuantType type = shape.rank() < 2 ? QuantType::kF32
                                            : choose_type(mix,
                                                          {.stem = stem,
                                                           .layer = layer,
                                                           .num_layers = config.num_layers,
                                                           .heads_per_kv_head = config.num_heads / config.num_kv_heads,
                                                           .tied_output = config.tied_embeddings,
                                                           .row_elements = shape.back()},
                                                          false);
    tensors.push_back({name + ".weight", type, shape});
  };
  const auto rows = find_architecture(config.architecture)->tensor_rows();
  for (const TensorRow& row : rows) {
    if (std::string_view(row.gguf).find("{}") == std::string_view::npos) add(row, -1);
  }
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    for (const TensorRow& row : rows) {
      if (std::string_view(row.gguf).find("{}") != std::string_view::npos) add(row, layer);
    }
  }
  return tensors;
}

// GPT-2's alphabet: printable bytes are themselves, the others code points from 256 on.
std::string byte_symbol(int byte) {
  const auto printable = [](int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; };
  int code = byte;
  if (!printable(byte)) {
    code = 256;
    for (int b = 0; b < byte; ++b)
      code += printable(b) ? 0 : 1;
  }
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
}

void set_vocabulary(std::int64_t vocab_size, Metadata& metadata) {
  constexpr std::int32_t kNormal = 1, kControl = 3, kUnused = 5;
  std::vector<std::string> tokens = {"<|endoftext|>"};
  std::vector<std::int32_t> types = {kControl};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(byte_symbol(byte));
    types.push_back(kNormal);
  }
  tokens.push_back("he");
  types.push_back(kNormal);
  while (static_cast<std::int64_t>(tokens.size()) < vocab_size) {
    tokens.push_back(fmt::format("<|unused_{}|>", tokens.size()));
    types.push_back(kUnused);
  }
  metadata.set_string("tokenizer.ggml.model", "gpt2");
  metadata.set_string("tokenizer.ggml.pre", "gpt-2");
  metadata.set_strings("tokenizer.ggml.tokens", std::move(tokens));
  metadata.set_ints("tokenizer.ggml.token_type", std::move(types));
  metadata.set_strings("tokenizer.ggml.merges", {"h e"});
  metadata.set("tokenizer.ggml.bos_token_id", std::uint32_t{0});
  metadata.set("tokenizer.ggml.eos_token_id", std::uint32_t{0});
  metadata.set_bool("tokenizer.ggml.add_bos_token", false);
}

Status write_tensor(GgufWriter& writer, const SyntheticTensor& tensor, const BlockPool& pool, Random& random,
                    std::vector<std::byte>& buffer) {
  const std::size_t row_bytes = *quant_row_bytes(tensor.type, static_cast<std::size_t>(tensor.shape.back()));
  std::size_t left = row_bytes * static_cast<std::size_t>(tensor.shape.rows());
  const std::size_t block = quant_info(tensor.type).block_bytes;
  while (left > 0) {
    buffer.resize(std::min(left, kWriteBytes / block * block));
    pool.fill(buffer, random);
    MLXR_RETURN_IF_ERROR(writer.write_tensor_data(buffer));
    left -= buffer.size();
  }
  return {};
}

}  // namespace

Result<ModelConfig> synthetic_shape(std::string_view name) {
  for (const ShapeRow& row : kShapes) {
    if (name != row.name) continue;
    ModelConfig config;
    config.architecture = "llama";
    config.name = fmt::format("{} (random weights)", row.name);
    config.hidden_size = row.hidden;
    config.num_layers = row.layers;
    config.num_heads = row.heads;
    config.num_kv_heads = row.kv_heads;
    config.head_dim = row.head_dim;
    config.ffn_size = row.ffn;
    config.vocab_size = row.vocab;
    config.context_length = row.context;
    config.tied_embeddings = row.tied;
    config.rope.dim = row.head_dim;
    config.rope.theta = row.theta;
    return config;
  }
  return invalid_argument(
      fmt::format("shape \"{}\" is not one of {}, nor a config.json", name, synthetic_shape_names()));
}

std::string synthetic_shape_names() {
  std::string names;
  for (const ShapeRow& row : kShapes)
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

Status write_synthetic_model(const ModelConfig& config, const std::string& out, const SyntheticOptions& options) {
  MLXR_RETURN_IF_ERROR(config.validate());
  if (config.architecture != "llama") return unsupported("synthetic models are of architecture llama");
  constexpr std::int64_t kSmallestVocabulary = 258;
  if (config.vocab_size < kSmallestVocabulary) {
    return invalid_argument(fmt::format("a vocabulary of {} has no room for all bytes", config.vocab_size));
  }
  Metadata metadata;
  metadata.set_string("general.architecture", config.architecture);
  metadata.set_string("general.type", "model");
  metadata.set_string("general.name", config.name);
  metadata.set("general.file_type", options.mix.file_type);
  metadata.set("general.quantization_version", std::uint32_t{2});
  write_gguf_config(config, metadata);
  if (options.tokenizer != nullptr) {
    MLXR_RETURN_IF_ERROR(tokenizer_to_gguf(*options.tokenizer, static_cast<std::size_t>(config.vocab_size), metadata));
    // Readers would take some token of the text to be these.
    for (const char* key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"})
      if (!metadata.contains(key)) metadata.set(key, static_cast<std::uint32_t>(config.vocab_size - 1));
  } else {
    set_vocabulary(config.vocab_size, metadata);
  }

  const std::vector<SyntheticTensor> tensors = plan(config, options.mix);
  GgufWriter writer(out, std::move(metadata), {.progress = options.progress});
  for (const SyntheticTensor& tensor : tensors) {
    MLXR_RETURN_IF_ERROR(writer.add_tensor(tensor.name, tensor.type, tensor.shape));
  }
  Random random(options.seed);
  std::map<std::pair<QuantType, std::int64_t>, BlockPool> pools;
  std::vector<std::byte> buffer;
  for (const SyntheticTensor& tensor : tensors) {
    const auto deviation = tensor.shape.rank() < 2 ? 1.0F : 1.0F / std::sqrt(static_cast<float>(tensor.shape.back()));
    const auto key = std::pair(tensor.type, tensor.shape.rank() < 2 ? 0 : tensor.shape.back());
    const auto pool = pools.try_emplace(key, tensor.type, deviation, random).first;
    MLXR_RETURN_IF_ERROR(write_tensor(writer, tensor, pool->second, random, buffer));
  }
  return writer.finish();
}

}  // namespace mlxr
