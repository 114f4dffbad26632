#pragma once
// MLXR_CHECK(condition, "text"): an invariant that only a programming error can break. On in every build; aborts with
// the place and the text. MLXR_DCHECK is the same where NDEBUG is not defined, for hot paths.

namespace mlxr {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const char* text);

}  // namespace mlxr

#define MLXR_CHECK(condition, text) \
  (static_cast<bool>(condition) ? void(0) : ::mlxr::check_failed(__FILE__, __LINE__, #condition, text))

#ifdef NDEBUG
#define MLXR_DCHECK(condition, text) void(0)
#else
#define MLXR_DCHECK(condition, text) MLXR_CHECK(condition, text)
#endif
