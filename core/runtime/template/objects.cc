#include "core/runtime/template/objects.h"

#include <array>

#include <fmt/core.h>

#include "core/runtime/template/builtin.h"
#include "core/runtime/template/compare.h"

namespace mlxr::jinja {
namespace {

Result<Value> loop_cycle(Call& call) {
  return static_cast<Loop&>(call.self.as_object()).cycle(call.all);
}
Result<Value> loop_changed(Call& call) {
  return static_cast<Loop&>(call.self.as_object()).changed(call.run, call.all);
}
constexpr std::array<Builtin, 2> kLoopMethods = {{{"cycle", "*", loop_cycle}, {"changed", "*", loop_changed}}};

Result<Value> cycler_next(Call& call) {
  return static_cast<Cycler&>(call.self.as_object()).next();
}
Result<Value> cycler_reset(Call& call) {
  static_cast<Cycler&>(call.self.as_object()).reset();
  return Value::none();
}
constexpr std::array<Builtin, 2> kCyclerMethods = {{{"next", "", cycler_next}, {"reset", "", cycler_reset}}};

Result<std::optional<Value>> method_value(Interpreter& run, std::span<const Builtin> methods, std::string_view name,
                                          Object* self) {
  const Builtin* method = find_builtin(methods, name);
  if (method == nullptr) return std::optional<Value>();
  MLXR_ASSIGN_OR_RETURN(BuiltinObject* const bound, run.make_object<BuiltinObject>(*method, Value::object(self)));
  return std::optional(Value::object(bound));
}

}  // namespace

Result<std::optional<Value>> Namespace::attribute(Interpreter& run, std::string_view name) {
  MLXR_RETURN_IF_ERROR(run.budget().work(1 + attributes_.size() / 8));
  for (const auto& [key, value] : attributes_) {
    if (key == name) return std::optional(value);
  }
  return std::optional<Value>();
}

void Namespace::set(std::string_view name, Value value) {
  for (auto& [key, old] : attributes_) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  attributes_.emplace_back(name, std::move(value));
}

std::string Macro::printed() const {
  return fmt::format("<Macro '{}'>", syntax_.name);
}

Result<std::optional<Value>> Macro::attribute(Interpreter& /*run*/, std::string_view name) {
  if (name == "name") return std::optional(Value::text(syntax_.name));
  if (name == "catch_kwargs") return std::optional(Value::boolean(syntax_.uses_kwargs));
  if (name == "catch_varargs") return std::optional(Value::boolean(syntax_.uses_varargs));
  if (name == "caller") return std::optional(Value::boolean(syntax_.uses_caller));
  if (name != "arguments") return std::optional<Value>();
  std::vector<Value> names;
  for (const Parameter& parameter : syntax_.parameters)
    names.push_back(Value::text(parameter.name));
  return std::optional(Value::tuple(std::move(names)));
}

Result<Value> Macro::call(Interpreter& run, const Arguments& arguments) {
  MLXR_ASSIGN_OR_RETURN(std::string text, run.run_macro(syntax_, scope_, arguments));
  return Value::text(std::move(text));
}

Result<bool> Loop::has(Interpreter& run, std::size_t index) {
  const auto& items = items_.as_sequence().items;
  while (passed_.size() <= index && scanned_ < items.size()) {
    const std::size_t at = scanned_++;
    MLXR_ASSIGN_OR_RETURN(const bool passes, run.loop_item_passes(syntax_, scope_, items[at]));
    if (passes) passed_.push_back(at);
  }
  return passed_.size() > index;
}

Result<std::size_t> Loop::length(Interpreter& run) {
  MLXR_ASSIGN_OR_RETURN(const bool beyond, has(run, items_.as_sequence().items.size()));
  static_cast<void>(beyond);  // asking for more than there are looks at all
  return passed_.size();
}

Result<const Value*> Loop::next(Interpreter& run) {
  MLXR_ASSIGN_OR_RETURN(const bool more, has(run, started_));
  if (!more) return static_cast<const Value*>(nullptr);
  return &item(started_++);
}

std::string Loop::printed() const {
  return fmt::format("<LoopContext {}/{}>", started_, items_.as_sequence().items.size());
}

Result<std::optional<Value>> Loop::attribute(Interpreter& run, std::string_view name) {
  const std::size_t index0 = started_ - 1;
  if (name == "index") return std::optional(Value::integer(started_));
  if (name == "index0") return std::optional(Value::integer(index0));
  if (name == "first") return std::optional(Value::boolean(index0 == 0));
  if (name == "depth") return std::optional(Value::integer(static_cast<Integer>(depth_) + 1));
  if (name == "depth0") return std::optional(Value::integer(static_cast<Integer>(depth_)));
  if (name == "previtem") {
    return std::optional(index0 > 0 ? item(index0 - 1) : Value::undefined("there is no previous item"));
  }
  if (name == "last" || name == "nextitem") {
    MLXR_ASSIGN_OR_RETURN(const bool more, has(run, started_));
    if (name == "last") return std::optional(Value::boolean(!more));
    return std::optional(more ? item(started_) : Value::undefined("there is no next item"));
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    MLXR_ASSIGN_OR_RETURN(const std::size_t total, length(run));
    if (name == "length") return std::optional(Value::integer(total));
    return std::optional(Value::integer(total - started_ + (name == "revindex" ? 1U : 0U)));
  }
  return method_value(run, kLoopMethods, name, this);
}

Result<Value> Loop::call(Interpreter& run, const Arguments& arguments) {
  if (!syntax_.recursive) {
    return invalid_argument("The loop must have the 'recursive' marker to be called recursively.");
  }
  if (arguments.positional.size() != 1) return invalid_argument("loop() takes one iterable");
  MLXR_ASSIGN_OR_RETURN(std::string text, run.run_loop_again(syntax_, scope_, arguments.positional[0], depth_ + 1));
  return Value::text(std::move(text));
}

Result<Value> Loop::cycle(const Arguments& arguments) const {
  if (arguments.positional.empty()) return invalid_argument("no items for cycling given");
  return arguments.positional[(started_ - 1) % arguments.positional.size()];
}

Result<Value> Loop::changed(Interpreter& run, const Arguments& arguments) {
  Value now = Value::tuple(arguments.positional);
  bool same = false;
  if (last_changed_) {
    MLXR_ASSIGN_OR_RETURN(same, equals(*last_changed_, now, run.budget()));
  }
  last_changed_ = std::move(now);
  return Value::boolean(!same);
}

Result<std::optional<Value>> Cycler::attribute(Interpreter& run, std::string_view name) {
  if (name == "current") return std::optional(items_[place_]);
  return method_value(run, kCyclerMethods, name, this);
}

Value Cycler::next() {
  const Value value = items_[place_];
  place_ = (place_ + 1) % items_.size();
  return value;
}

Result<std::optional<Value>> Joiner::attribute(Interpreter& /*run*/, std::string_view /*name*/) {
  return std::optional<Value>();
}

Result<Value> Joiner::call(Interpreter& /*run*/, const Arguments& /*arguments*/) {
  if (std::exchange(used_, true)) return separator_;
  return Value::text("");
}

}  // namespace mlxr::jinja
