#pragma once
// Template source -> syntax tree. Fails with kInvalidArgument and "line L, column C: ..." for anything that Jinja would
// not parse, kUnsupported for template inheritance and imports, kResourceExhausted for nesting beyond kMaxSyntaxDepth.

#include <string_view>

#include "core/base/status.h"
#include "core/runtime/template/syntax.h"

namespace mlxr::jinja {

Result<SyntaxTree> parse(std::string_view source);

}  // namespace mlxr::jinja
