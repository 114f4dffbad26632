#pragma once
// What happens when a mapped file cannot be read any more: it was cut short by somebody, or its disk failed. The system
// then raises SIGBUS at the read, which would end the process. With the guard the page that is gone reads as zeros, the
// mapping counts as damaged, and whoever computed with it asks before its result is used.
//
// MappedFile guards its mapping by itself. Threads: all calls from any thread.

#include <cstddef>
#include <cstdint>
#include <span>

namespace mlxr {

// Damaged mappings of this process so far; when it has not changed, nothing has. One load of an atomic.
std::uint64_t num_damaged_mappings();
// Whether the guarded mapping that holds the first of these bytes is damaged.
bool mapping_damaged(std::span<const std::byte> bytes);

namespace mapping_guard {
// kMaxMappings at once; further ones are left as the system treats them.
inline constexpr std::size_t kMaxMappings = 4096;
void add(std::span<const std::byte> mapping);
void remove(std::span<const std::byte> mapping);
}  // namespace mapping_guard

}  // namespace mlxr
