#include "core/runtime/template/interpreter.h"

#include <array>
#include <limits>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/runtime/template/access.h"
#include "core/runtime/template/builtin.h"
#include "core/runtime/template/objects.h"
#include "core/runtime/template/printing.h"

namespace mlxr::jinja {
namespace {

using Json = nlohmann::ordered_json;

Result<Value> from_json(const Json& json, int depth, std::uint64_t& bytes) {
  if (depth > kMaxValueDepth) return resource_exhausted("the variables are nested too deeply");
  bytes += sizeof(Value);
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::integer(static_cast<Integer>(json.get<std::int64_t>()));
    case Json::value_t::number_unsigned:
      return Value::integer(static_cast<Integer>(json.get<std::uint64_t>()));
    case Json::value_t::number_float:
      return Value::number(json.get<double>());
    case Json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      bytes += text.size();
      return Value::text(text);
    }
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) {
        MLXR_ASSIGN_OR_RETURN(Value value, from_json(item, depth + 1, bytes));
        items.push_back(std::move(value));
      }
      return Value::list(std::move(items));
    }
    case Json::value_t::object: {
      std::vector<Value::Entry> entries;
      entries.reserve(json.size());
      for (const auto& [key, item] : json.items()) {
        bytes += key.size();
        MLXR_ASSIGN_OR_RETURN(Value value, from_json(item, depth + 1, bytes));
        entries.emplace_back(Value::text(key), std::move(value));
      }
      return Value::mapping(std::move(entries));
    }
    default:
      return Value::none();
  }
}

}  // namespace

Value* Scope::find(Symbol symbol) {
  for (auto& [name, value] : variables_) {
    if (name == symbol) return &value;
  }
  return nullptr;
}

void Scope::set(Symbol symbol, Value value) {
  if (Value* old = find(symbol)) {
    *old = std::move(value);
  } else {
    variables_.emplace_back(symbol, std::move(value));
  }
}

Interpreter::Interpreter(const SyntaxTree& tree, const TemplateLimits& limits, const std::tm& now)
    : tree_(tree), budget_(limits), max_output_bytes_(limits.max_output_bytes), now_(now) {}

Result<std::string> Interpreter::render(const Json& variables) {
  globals_.resize(tree_.symbols.size());
  defined_.resize(tree_.symbols.size());
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < tree_.symbols.size(); ++i) {
    const std::string& name = tree_.symbols[i];
    const auto given = variables.is_object() ? variables.find(name) : variables.end();
    if (given != variables.end()) {
      Result<Value> value = from_json(*given, 1, bytes);
      if (!value.ok()) return value.status().with_context(name);
      globals_[i] = std::move(*value);
      defined_[i] = true;
    } else if (const Builtin* global = find_global(name)) {
      MLXR_ASSIGN_OR_RETURN(BuiltinObject* const object, make_object<BuiltinObject>(*global, Value::none()));
      globals_[i] = Value::object(object);
      defined_[i] = true;
    }
  }
  constexpr std::uint64_t kBytesPerInputByte = 64;
  budget_.add_value_bytes(bytes * kBytesPerInputByte);
  scope_ = std::make_shared<Scope>(nullptr);
  std::string out;
  out_ = &out;
  MLXR_ASSIGN_OR_RETURN(const Flow flow, execute(tree_.body));
  static_cast<void>(flow);
  return out;
}

Value Interpreter::lookup(Symbol symbol) {
  for (Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent()) {
    if (const Value* value = scope->find(symbol)) return *value;
  }
  const auto index = static_cast<std::size_t>(symbol);
  if (defined_[index]) return globals_[index];
  return Value::undefined(fmt::format("'{}' is undefined", tree_.symbols[index]));
}

Status Interpreter::write(std::string_view text) {
  if (out_->size() + text.size() > max_output_bytes_) return resource_exhausted("the template writes too much");
  MLXR_RETURN_IF_ERROR(budget_.allocate(text.size()));
  out_->append(text);
  return {};
}

Status Interpreter::check_depth() const {
  if (depth_ <= kMaxDepth) return {};
  return resource_exhausted("the template recurses too deeply");
}

Status Interpreter::located(Position position, const Status& status) {
  if (error_located_) return status;
  error_located_ = true;
  return error_at(position, status);
}

Result<Value> Interpreter::admit(Value value) {
  if (value.depth() > kMaxValueDepth) return resource_exhausted("a value is nested too deeply");
  MLXR_RETURN_IF_ERROR(budget_.allocate(value.shallow_bytes()));
  return value;
}

Result<Value> Interpreter::call(const Value& callee, const Arguments& arguments) {
  const Depth depth(*this);
  MLXR_RETURN_IF_ERROR(check_depth());
  MLXR_RETURN_IF_ERROR(budget_.work(1));
  if (callee.is_undefined()) return callee.complaint();
  if (callee.is_object()) return callee.as_object().call(*this, arguments);
  return invalid_argument(fmt::format("'{}' object is not callable", callee.type_name()));
}

Result<Value> Interpreter::filter(std::string_view name, const Value& input, const Arguments& arguments) {
  const Builtin* row = find_filter(name);
  if (row == nullptr) return invalid_argument(fmt::format("No filter named '{}' found.", name));
  return invoke(*row, *this, input, arguments);
}

Result<bool> Interpreter::test(std::string_view name, const Value& input, const Arguments& arguments) {
  const Builtin* row = find_test(name);
  if (row == nullptr) return invalid_argument(fmt::format("No test named '{}' found.", name));
  MLXR_ASSIGN_OR_RETURN(const Value result, invoke(*row, *this, input, arguments));
  return result.truthy();
}

Status Interpreter::assign(const Target& target, const Value& value) {
  switch (target.type) {
    case Target::Type::kName:
      scope_->set(target.symbol, value);
      return {};
    case Target::Type::kAttribute: {
      const Value object = lookup(target.symbol);
      auto* const space = object.is_object() ? dynamic_cast<Namespace*>(&object.as_object()) : nullptr;
      if (space == nullptr) return invalid_argument("cannot assign attribute on non-namespace object");
      MLXR_RETURN_IF_ERROR(budget_.allocate(target.attribute.size()));
      space->set(target.attribute, value);
      return {};
    }
    case Target::Type::kTuple:
      break;
  }
  if (value.is_undefined()) return value.complaint();
  MLXR_ASSIGN_OR_RETURN(const Value items, iterate(*this, value));
  const auto& parts = items.as_sequence().items;
  if (parts.size() < target.parts.size()) {
    return invalid_argument(
        fmt::format("not enough values to unpack (expected {}, got {})", target.parts.size(), parts.size()));
  }
  if (parts.size() > target.parts.size()) {
    return invalid_argument(fmt::format("too many values to unpack (expected {})", target.parts.size()));
  }
  for (std::size_t i = 0; i < parts.size(); ++i)
    MLXR_RETURN_IF_ERROR(assign(target.parts[i], parts[i]));
  return {};
}

Result<std::string> Interpreter::capture(const Body& body) {
  std::string text;
  std::string* const outer_out = std::exchange(out_, &text);
  const std::shared_ptr<Scope> outer_scope = scope_;
  scope_ = std::make_shared<Scope>(outer_scope);
  const Result<Flow> flow = execute(body);
  scope_ = outer_scope;
  out_ = outer_out;
  if (!flow.ok()) return flow.status();
  return text;
}

// Statements.

struct Executor {
  Interpreter& run;

  Result<Flow> operator()(const DataOutput& node) const {
    MLXR_RETURN_IF_ERROR(run.write(node.text));
    return Flow::kNext;
  }

  Result<Flow> operator()(const ExpressionOutput& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value value, run.evaluate(*node.expression));
    if (value.is_text()) {
      MLXR_RETURN_IF_ERROR(run.write(value.as_text()));
    } else {
      MLXR_ASSIGN_OR_RETURN(const std::string text, to_text(value, run.budget_));
      MLXR_RETURN_IF_ERROR(run.write(text));
    }
    return Flow::kNext;
  }

  Result<Flow> operator()(const If& node) const {
    for (const auto& [condition, body] : node.branches) {
      MLXR_ASSIGN_OR_RETURN(const Value value, run.evaluate(*condition));
      if (value.truthy()) return run.execute(body);
    }
    return run.execute(node.otherwise);
  }

  Result<Flow> operator()(const For& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value iterable, run.evaluate(*node.iterable));
    return run.run_loop(node, run.scope_, iterable, 0);
  }

  Result<Flow> operator()(const Set& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value value, run.evaluate(*node.value));
    MLXR_RETURN_IF_ERROR(run.assign(node.target, value));
    return Flow::kNext;
  }

  Result<Flow> operator()(const SetBlock& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value value, filtered_block(node.body, node.filters));
    MLXR_RETURN_IF_ERROR(run.assign(node.target, value));
    return Flow::kNext;
  }

  Result<Flow> operator()(const FilterBlock& node) const {
    MLXR_ASSIGN_OR_RETURN(const Value value, filtered_block(node.body, node.filters));
    MLXR_ASSIGN_OR_RETURN(const std::string text, to_text(value, run.budget_));
    MLXR_RETURN_IF_ERROR(run.write(text));
    return Flow::kNext;
  }

  Result<Flow> operator()(const MacroDefinition& node) const {
    MLXR_ASSIGN_OR_RETURN(Macro* const macro, run.make_object<Macro>(node.macro, run.scope_));
    run.scope_->set(node.macro.symbol, Value::object(macro));
    return Flow::kNext;
  }

  Result<Flow> operator()(const CallBlock& node) const {
    const auto& call = std::get<CallExpression>(node.call->node);
    MLXR_ASSIGN_OR_RETURN(const Value callee, run.evaluate(*call.callee));
    MLXR_ASSIGN_OR_RETURN(Arguments arguments, run.evaluate_arguments(call.arguments));
    MLXR_ASSIGN_OR_RETURN(Macro* const caller, run.make_object<Macro>(node.caller, run.scope_));
    arguments.named.emplace_back("caller", Value::object(caller));
    MLXR_ASSIGN_OR_RETURN(const Value value, run.call(callee, arguments));
    MLXR_ASSIGN_OR_RETURN(const std::string text, to_text(value, run.budget_));
    MLXR_RETURN_IF_ERROR(run.write(text));
    return Flow::kNext;
  }

  Result<Flow> operator()(const With& node) const {
    const std::shared_ptr<Scope> outer = run.scope_;
    const auto inner = std::make_shared<Scope>(outer);
    for (const auto& [target, expression] : node.assignments) {
      MLXR_ASSIGN_OR_RETURN(const Value value, run.evaluate(*expression));
      run.scope_ = inner;
      const Status assigned = run.assign(target, value);
      run.scope_ = outer;
      MLXR_RETURN_IF_ERROR(assigned);
    }
    return in_scope(inner, node.body);
  }

  Result<Flow> operator()(const ScopedBody& node) const {
    return in_scope(std::make_shared<Scope>(run.scope_), node.body);
  }

  Result<Flow> operator()(const Break& /*node*/) const { return Flow::kBreak; }
  Result<Flow> operator()(const Continue& /*node*/) const { return Flow::kContinue; }

 private:
  Result<Flow> in_scope(std::shared_ptr<Scope> scope, const Body& body) const {
    const std::shared_ptr<Scope> outer = std::exchange(run.scope_, std::move(scope));
    Result<Flow> flow = run.execute(body);
    run.scope_ = outer;
    return flow;
  }

  Result<Value> filtered_block(const Body& body, const ExpressionPtr& filters) const {
    MLXR_ASSIGN_OR_RETURN(std::string text, run.capture(body));
    Value value = Value::text(std::move(text));
    if (filters == nullptr) return value;
    Value outer = std::exchange(run.block_input_, std::move(value));
    Result<Value> result = run.evaluate(*filters);
    run.block_input_ = std::move(outer);
    return result;
  }
};

Result<Flow> Interpreter::execute(const Body& body) {
  for (const Statement& statement : body) {
    Result<Flow> flow = execute_statement(statement);
    if (!flow.ok()) return located(statement.position, flow.status());
    if (*flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Flow> Interpreter::execute_statement(const Statement& statement) {
  const Depth depth(*this);
  MLXR_RETURN_IF_ERROR(check_depth());
  MLXR_RETURN_IF_ERROR(budget_.work(1));
  return std::visit(Executor{*this}, statement.node);
}

Result<Flow> Interpreter::run_loop(const For& loop, const std::shared_ptr<Scope>& scope, const Value& iterable,
                                   int depth) {
  MLXR_ASSIGN_OR_RETURN(Value items, iterate(*this, iterable));
  MLXR_ASSIGN_OR_RETURN(Loop* const state, make_object<Loop>(loop, scope, std::move(items), depth));
  const std::shared_ptr<Scope> outer = scope_;
  bool any = false;
  while (true) {
    MLXR_ASSIGN_OR_RETURN(const Value* const item, state->next(*this));
    if (item == nullptr) break;
    any = true;
    scope_ = std::make_shared<Scope>(scope);
    scope_->set(kLoop, Value::object(state));
    const Status assigned = assign(loop.target, *item);
    Result<Flow> flow = assigned.ok() ? execute(loop.body) : Result<Flow>(assigned);
    scope_ = outer;
    if (!flow.ok()) return flow;
    if (*flow == Flow::kBreak) break;
  }
  if (any) return Flow::kNext;
  scope_ = std::make_shared<Scope>(scope);
  Result<Flow> flow = execute(loop.otherwise);
  scope_ = outer;
  return flow;
}

Result<std::string> Interpreter::run_loop_again(const For& loop, const std::shared_ptr<Scope>& scope,
                                                const Value& iterable, int depth) {
  std::string text;
  std::string* const outer = std::exchange(out_, &text);
  const Result<Flow> flow = run_loop(loop, scope, iterable, depth);
  out_ = outer;
  if (!flow.ok()) return flow.status();
  return text;
}

Result<bool> Interpreter::loop_item_passes(const For& loop, const std::shared_ptr<Scope>& scope, const Value& item) {
  MLXR_RETURN_IF_ERROR(budget_.work(1));
  if (loop.condition == nullptr) return true;
  const std::shared_ptr<Scope> outer = std::exchange(scope_, std::make_shared<Scope>(scope));
  const Status assigned = assign(loop.target, item);
  Result<Value> value = assigned.ok() ? evaluate(*loop.condition) : Result<Value>(assigned);
  scope_ = outer;
  if (!value.ok()) return value.status();
  return value->truthy();
}

// Macros.

Result<std::string> Interpreter::run_macro(const MacroSyntax& macro, const std::shared_ptr<Scope>& scope,
                                           const Arguments& arguments) {
  const std::shared_ptr<Scope> outer = std::exchange(scope_, std::make_shared<Scope>(scope));
  std::string text;
  std::string* const outer_out = std::exchange(out_, &text);
  const auto body = [&]() -> Status {
    MLXR_RETURN_IF_ERROR(bind_parameters(macro, arguments));
    MLXR_ASSIGN_OR_RETURN(const Flow flow, execute(macro.body));
    static_cast<void>(flow);
    return {};
  };
  const Status status = body();
  scope_ = outer;
  out_ = outer_out;
  if (!status.ok()) return status;
  return text;
}

Status Interpreter::bind_parameters(const MacroSyntax& macro, const Arguments& arguments) {
  const std::size_t count = macro.parameters.size();
  std::vector<bool> taken(arguments.named.size(), false);
  for (std::size_t i = 0; i < count; ++i) {
    const Parameter& parameter = macro.parameters[i];
    std::size_t named = 0;
    while (named < taken.size() && arguments.named[named].first != parameter.name)
      ++named;
    if (i < arguments.positional.size()) {
      scope_->set(parameter.symbol, arguments.positional[i]);
    } else if (named < taken.size()) {
      scope_->set(parameter.symbol, arguments.named[named].second);
      taken[named] = true;
    } else if (parameter.fallback != nullptr) {
      MLXR_ASSIGN_OR_RETURN(Value fallback, evaluate(*parameter.fallback));
      scope_->set(parameter.symbol, std::move(fallback));
    } else {
      scope_->set(parameter.symbol, Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name)));
    }
  }
  return bind_extras(macro, arguments, taken);
}

Status Interpreter::bind_extras(const MacroSyntax& macro, const Arguments& arguments, const std::vector<bool>& taken) {
  const std::size_t count = macro.parameters.size();
  std::vector<Value> more;
  for (std::size_t i = count; i < arguments.positional.size(); ++i)
    more.push_back(arguments.positional[i]);
  if (!more.empty() && !macro.uses_varargs) {
    return invalid_argument(fmt::format("macro '{}' takes not more than {} argument(s)", macro.name, count));
  }
  if (macro.uses_varargs) scope_->set(kVarargs, Value::tuple(std::move(more)));
  std::vector<Value::Entry> named;
  if (macro.uses_caller) scope_->set(kCaller, Value::undefined("No caller defined"));
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const auto& [name, value] = arguments.named[i];
    if (taken[i]) continue;
    if (name == "caller" && macro.uses_caller) {
      scope_->set(kCaller, value);
    } else if (macro.uses_kwargs) {
      named.emplace_back(Value::text(name), value);
    } else if (name == "caller") {
      return invalid_argument(
          fmt::format("macro '{}' was invoked with two values for the special caller argument. "
                      "This is most likely a bug.",
                      macro.name));
    } else {
      return invalid_argument(fmt::format("macro '{}' takes no keyword argument '{}'", macro.name, name));
    }
  }
  if (macro.uses_kwargs) {
    MLXR_ASSIGN_OR_RETURN(Value mapping, Value::mapping(std::move(named)));
    scope_->set(kKwargs, std::move(mapping));
  }
  return {};
}

}  // namespace mlxr::jinja
