#pragma once
// Chat templates: Jinja, as Hugging Face's apply_chat_template runs it (trim_blocks, lstrip_blocks, loop controls, the
// immutable sandbox, tojson without HTML escapes). Ours is complete in expressions and statements; template
// inheritance, imports and the filters that only make sense for web pages are not there.
//
// A ChatTemplate is immutable after parse and may be used by many threads at once.

#include <ctime>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "core/runtime/template/budget.h"

namespace mlxr {

namespace jinja {
struct SyntaxTree;
}

struct RenderOptions {
  // What strftime_now shows; the machine's local time when absent.
  std::optional<std::tm> now;
  TemplateLimits limits;
};

class ChatTemplate {
 public:
  // Fails with "chat template: line L, column C: ..." when the source is not a template.
  static Result<ChatTemplate> parse(const std::string& source);

  // `variables` is an object with Hugging Face's names: messages, tools, add_generation_prompt, bos_token, eos_token
  // and whatever else the template reads (enable_thinking, documents ...). A name that is absent is undefined, one that
  // is null is none. Fails with the template's own message (raise_exception) or what Jinja would complain about, both
  // with line and column, and with kResourceExhausted at the limits. Needs about half a MiB of stack at worst.
  Result<std::string> render(const nlohmann::ordered_json& variables, const RenderOptions& options = {}) const;

  // Whether the template mentions a variable, so that a caller can tell that tools would be ignored.
  bool mentions(const std::string& variable) const;

 private:
  explicit ChatTemplate(std::shared_ptr<const jinja::SyntaxTree> tree) : tree_(std::move(tree)) {}

  std::shared_ptr<const jinja::SyntaxTree> tree_;
};

}  // namespace mlxr
