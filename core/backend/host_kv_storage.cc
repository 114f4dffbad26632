#include "core/backend/host_kv_storage.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>

#include "core/backend/kv_codec.h"
#include "core/base/check.h"
#include "core/base/checked.h"

namespace mlxr {
namespace {

constexpr std::size_t kAlignment = 64;
// Attention may read up to one vector past the end of a tile.
constexpr std::size_t kSlack = 64;

// The product of positive factors; nullopt on overflow or a factor below one.
std::optional<std::size_t> product(std::initializer_list<std::int64_t> factors) {
  std::int64_t total = 1;
  for (const std::int64_t factor : factors) {
    if (factor < 1) return std::nullopt;
    const auto next = checked_mul(total, factor);
    if (!next) return std::nullopt;
    total = *next;
  }
  return static_cast<std::size_t>(total);
}

std::size_t round_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// The tiles of a layer in one block, one kv head; nullopt when out of range.
struct TileBytes {
  std::size_t key = 0;
  std::size_t value = 0;
};

Result<TileBytes> tile_bytes(const KvLayout& layout, std::size_t index) {
  const KvLayerLayout& layer = layout.layers[index];
  const auto out_of_range = [&] {
    return invalid_argument("the key and value sizes of layer " + std::to_string(index) + " are out of range");
  };
  for (const std::int64_t dim : {layer.key_dim, layer.value_dim}) {
    if (dim < 1) return out_of_range();
    if (dim % kv_scale_span(layout.type, dim) != 0) {
      return invalid_argument("a KV cache of " + std::string(kv_type_info(layout.type).name) +
                              " needs head sizes that are multiples of " +
                              std::to_string(kv_scale_span(layout.type, dim)) + ", and layer " + std::to_string(index) +
                              " has " + std::to_string(dim));
    }
  }
  const auto key_row = kv_row_bytes(layout.type, layer.key_dim);
  const auto value_row = kv_row_bytes(layout.type, layer.value_dim);
  if (!key_row || !value_row) return out_of_range();
  const auto key = product({static_cast<std::int64_t>(*key_row), HostKvStorage::key_stride_for(layout.block_tokens)});
  const auto value = product({static_cast<std::int64_t>(*value_row), layout.block_tokens});
  if (!key || !value) return out_of_range();
  return TileBytes{*key, *value};
}

Status check_layout(const KvLayout& layout) {
  constexpr std::int64_t kMaxBlockTokens = 1 << 20;
  if (layout.block_tokens < 1 || layout.block_tokens > kMaxBlockTokens) {
    return invalid_argument("a block of " + std::to_string(layout.block_tokens) + " tokens is out of range");
  }
  if (layout.num_blocks.size() > kMaxKvGroups) {
    return invalid_argument(std::to_string(layout.num_blocks.size()) + " groups of KV layers, at most " +
                            std::to_string(kMaxKvGroups));
  }
  for (std::size_t i = 0; i < layout.layers.size(); ++i) {
    const std::int64_t group = layout.layers[i].group;
    if (group < 0 || group >= layout.num_groups()) {
      return invalid_argument("layer " + std::to_string(i) + " is in KV group " + std::to_string(group) + " of " +
                              std::to_string(layout.num_groups()));
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<KvStorage>> HostKvStorage::make(const KvLayout& layout) {
  MLXR_RETURN_IF_ERROR(check_layout(layout));
  constexpr std::size_t kMaxBytes = SIZE_MAX / 4;
  std::vector<Place> places;
  std::vector<std::size_t> offsets;
  std::size_t total = kAlignment + kSlack;
  for (std::size_t i = 0; i < layout.layers.size(); ++i) {
    const KvLayerLayout& layer = layout.layers[i];
    MLXR_ASSIGN_OR_RETURN(const TileBytes tile, tile_bytes(layout, i));
    const std::int64_t num_blocks = layout.num_blocks[static_cast<std::size_t>(layer.group)];
    const auto key_bytes = product({static_cast<std::int64_t>(tile.key), layer.num_kv_heads, num_blocks});
    const auto value_bytes = product({static_cast<std::int64_t>(tile.value), layer.num_kv_heads, num_blocks});
    if (!key_bytes || !value_bytes) {
      return invalid_argument("the key and value sizes of layer " + std::to_string(i) + " are out of range");
    }
    Place place;
    place.num_kv_heads = layer.num_kv_heads;
    place.key_tile_bytes = tile.key;
    place.value_tile_bytes = tile.value;
    places.push_back(place);
    for (const std::size_t bytes : {*key_bytes, *value_bytes}) {
      offsets.push_back(total - kSlack - kAlignment);
      if (bytes > kMaxBytes || total > kMaxBytes) {
        return resource_exhausted("the key and value cache does not fit the address space");
      }
      total += round_up(bytes);
    }
  }
  void* memory = std::calloc(total, 1);
  if (memory == nullptr) {
    return resource_exhausted("no memory for a key and value cache of " + std::to_string(total) + " bytes");
  }
  const auto start = reinterpret_cast<std::uintptr_t>(memory);
  std::byte* base = static_cast<std::byte*>(memory) + (round_up(start) - start);
  for (std::size_t i = 0; i < places.size(); ++i) {
    places[i].keys = base + offsets[2 * i];
    places[i].values = base + offsets[2 * i + 1];
  }
  return std::unique_ptr<KvStorage>(new HostKvStorage(layout, memory, std::move(places)));
}

HostKvStorage::~HostKvStorage() {
  std::free(memory_);
}

void HostKvStorage::check_place(std::int64_t group, std::int64_t block) const {
  MLXR_CHECK(group >= 0 && group < layout().num_groups(), "the KV group exists");
  MLXR_CHECK(block >= 0 && block < layout().num_blocks[static_cast<std::size_t>(group)], "the KV block exists");
}

std::size_t HostKvStorage::block_bytes(std::int64_t group) const {
  std::size_t total = 0;
  for_each_piece(group, 0, [&](std::byte* /*piece*/, std::size_t bytes) { total += bytes; });
  return total;
}

Status HostKvStorage::check_size(std::int64_t group, std::size_t bytes) const {
  if (bytes == block_bytes(group)) return {};
  return invalid_argument("a KV block of group " + std::to_string(group) + " has " +
                          std::to_string(block_bytes(group)) + " bytes, not " + std::to_string(bytes));
}

Status HostKvStorage::read_block(std::int64_t group, std::int64_t block, std::span<std::byte> out) {
  MLXR_RETURN_IF_ERROR(check_size(group, out.size()));
  std::byte* to = out.data();
  for_each_piece(group, block, [&](const std::byte* piece, std::size_t bytes) {
    std::memcpy(to, piece, bytes);
    to += bytes;
  });
  return {};
}

Status HostKvStorage::write_block(std::int64_t group, std::int64_t block, std::span<const std::byte> bytes) {
  MLXR_RETURN_IF_ERROR(check_size(group, bytes.size()));
  const std::byte* from = bytes.data();
  for_each_piece(group, block, [&](std::byte* piece, std::size_t piece_bytes) {
    std::memcpy(piece, from, piece_bytes);
    from += piece_bytes;
  });
  return {};
}

void HostKvStorage::copy_block(std::int64_t group, std::int64_t from, std::int64_t to) {
  check_place(group, from);
  check_place(group, to);
  if (from == to) return;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (layout().layers[i].group != group) continue;
    const auto layer = static_cast<std::int64_t>(i);
    std::memcpy(key_tile(layer, to, 0), key_tile(layer, from, 0), key_block_bytes(layer));
    std::memcpy(value_tile(layer, to, 0), value_tile(layer, from, 0), value_block_bytes(layer));
  }
}

std::string HostKvStorage::fingerprint() const {
  const KvLayout& own = layout();
  std::string text = "host-kv-1 " + std::string(kv_type_info(own.type).name);
  if (is_rotated(own)) text += "+hadamard";
  text += std::endian::native == std::endian::little ? " le" : " be";
  text += " block " + std::to_string(own.block_tokens);
  for (std::size_t i = 0; i < own.layers.size();) {
    const KvLayerLayout& layer = own.layers[i];
    std::size_t same = 0;
    while (i + same < own.layers.size() && own.layers[i + same] == layer)
      ++same;
    text += " " + std::to_string(same) + "x[group " + std::to_string(layer.group) + " heads " +
            std::to_string(layer.num_kv_heads) + " dims " + std::to_string(layer.key_dim) + "/" +
            std::to_string(layer.value_dim) + "]";
    i += same;
  }
  return text;
}

const HostKvStorage& HostKvStorage::of(const KvView& view) {
  const auto* storage = dynamic_cast<const HostKvStorage*>(view.storage);
  MLXR_CHECK(storage != nullptr, "the KV storage was made by another backend");
  return *storage;
}

}  // namespace mlxr
