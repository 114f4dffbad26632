// A chat template from outside over fixed variables: parsing and rendering end, within their limits.

#include <cstddef>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "core/runtime/template/chat_template.h"

namespace {

const nlohmann::ordered_json& variables() {
  static const auto kVariables = nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi, wörld"},
                 {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5]}}}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "x": [3, 1, 2], "n": 7
  })");
  return kVariables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string source(reinterpret_cast<const char*>(data), size);
  const auto made = mlxr::ChatTemplate::parse(source);
  if (!made.ok()) return 0;
  mlxr::RenderOptions options;
  options.now = std::tm{};
  options.limits.max_work = 50'000;
  options.limits.max_value_bytes = 4U << 20;
  options.limits.max_output_bytes = 1U << 20;
  static_cast<void>(made->render(variables(), options));
  return 0;
}
