#pragma once
// Runs a syntax tree over variables. One Interpreter is one rendering, on one thread; it owns the objects (namespaces,
// macros, loops) that values point to. The first error ends the rendering and carries the place of the expression that
// caused it.

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "core/runtime/template/budget.h"
#include "core/runtime/template/syntax.h"
#include "core/runtime/template/value.h"

namespace mlxr::jinja {

// Names in a region of the template. Loops, macros and blocks open one; `if` does not. Kept alive by the macros that
// were defined in it.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> parent) : parent_(std::move(parent)) {}

  Scope* parent() const { return parent_.get(); }
  Value* find(Symbol symbol);
  void set(Symbol symbol, Value value);
  void clear() { variables_.clear(); }

 private:
  std::shared_ptr<Scope> parent_;
  std::vector<std::pair<Symbol, Value>> variables_;
};

enum class Flow : std::uint8_t { kNext, kBreak, kContinue };

class Interpreter {
 public:
  // `tree` must outlive the interpreter. `now` is what strftime_now shows.
  Interpreter(const SyntaxTree& tree, const TemplateLimits& limits, const std::tm& now);

  Result<std::string> render(const nlohmann::ordered_json& variables);

  // For builtins.
  Budget& budget() { return budget_; }
  const std::tm& now() const { return now_; }
  Result<Value> call(const Value& callee, const Arguments& arguments);
  Result<Value> filter(std::string_view name, const Value& input, const Arguments& arguments);
  Result<bool> test(std::string_view name, const Value& input, const Arguments& arguments);
  // Charges what a fresh value costs and refuses one that is nested too deeply; otherwise gives it back.
  Result<Value> admit(Value value);
  template <class T, class... Args>
  Result<T*> make_object(Args&&... args) {
    MLXR_RETURN_IF_ERROR(budget_.allocate(sizeof(T)));
    auto made = std::make_unique<T>(std::forward<Args>(args)...);
    T* object = made.get();
    objects_.push_back(std::move(made));
    return object;
  }

  // For the objects below.
  Result<std::string> run_macro(const MacroSyntax& macro, const std::shared_ptr<Scope>& scope,
                                const Arguments& arguments);
  Result<std::string> run_loop_again(const For& loop, const std::shared_ptr<Scope>& scope, const Value& iterable,
                                     int depth);
  Result<bool> loop_item_passes(const For& loop, const std::shared_ptr<Scope>& scope, const Value& item);

 private:
  friend struct Evaluator;
  friend struct Executor;
  // Counts nesting while it lives.
  class Depth {
   public:
    explicit Depth(Interpreter& run) : run_(run) { ++run_.depth_; }
    ~Depth() { --run_.depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    Interpreter& run_;
  };

  Result<Value> evaluate(const Expression& expression);
  Result<Arguments> evaluate_arguments(const CallSyntax& call);
  Result<Flow> execute(const Body& body);
  Result<Flow> execute_statement(const Statement& statement);
  // Runs the body into a string of its own, in a scope of its own.
  Result<std::string> capture(const Body& body);
  Result<Flow> run_loop(const For& loop, const std::shared_ptr<Scope>& scope, const Value& iterable, int depth);
  // Sets the parameters in the current scope; then what goes into varargs, kwargs and caller.
  Status bind_parameters(const MacroSyntax& macro, const Arguments& arguments);
  Status bind_extras(const MacroSyntax& macro, const Arguments& arguments, const std::vector<bool>& taken);

  Value lookup(Symbol symbol);
  Status assign(const Target& target, const Value& value);
  Status write(std::string_view text);
  Status check_depth() const;
  // Adds the place to the first error that passes here.
  Status located(Position position, const Status& status);

  const SyntaxTree& tree_;
  Budget budget_;
  std::size_t max_output_bytes_;
  std::tm now_;
  std::vector<Value> globals_;  // by symbol; variables of the caller and global functions
  std::vector<bool> defined_;   // which of globals_ exist
  std::shared_ptr<Scope> scope_;
  std::string* out_ = nullptr;
  Value block_input_;  // what a FilterCall without an input works on
  int depth_ = 0;
  bool error_located_ = false;
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace mlxr::jinja
