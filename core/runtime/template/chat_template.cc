#include "core/runtime/template/chat_template.h"

#include <algorithm>
#include <chrono>

#include <nlohmann/json.hpp>

#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/parser.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxSourceBytes = 4U << 20;

std::tm local_time() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm broken_down{};
  localtime_r(&now, &broken_down);
  return broken_down;
}

// Errors are one line; a template's own message may have several.
Status one_line(const Status& status) {
  std::string message = status.message();
  std::replace(message.begin(), message.end(), '\n', ' ');
  return Status(status.code(), std::move(message)).with_context("chat template");
}

}  // namespace

Result<ChatTemplate> ChatTemplate::parse(const std::string& source) {
  if (source.size() > kMaxSourceBytes) return resource_exhausted("chat template: longer than 4 MiB");
  Result<jinja::SyntaxTree> tree = jinja::parse(source);
  if (!tree.ok()) return one_line(tree.status());
  return ChatTemplate(std::make_shared<const jinja::SyntaxTree>(std::move(*tree)));
}

Result<std::string> ChatTemplate::render(const nlohmann::ordered_json& variables, const RenderOptions& options) const {
  jinja::Interpreter interpreter(*tree_, options.limits, options.now ? *options.now : local_time());
  Result<std::string> text = interpreter.render(variables);
  if (!text.ok()) return one_line(text.status());
  return text;
}

bool ChatTemplate::mentions(const std::string& variable) const {
  return std::find(tree_->symbols.begin(), tree_->symbols.end(), variable) != tree_->symbols.end();
}

}  // namespace mlxr
