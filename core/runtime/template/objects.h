#pragma once
// Values with identity that templates make: namespaces, macros, loops, cyclers and joiners. See Object for ownership.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/template/interpreter.h"
#include "core/runtime/template/value.h"

namespace mlxr::jinja {

// namespace(a=1): the one thing whose attributes {% set %} can change.
class Namespace final : public Object {
 public:
  std::string type_name() const override { return "Namespace"; }
  std::string printed() const override { return "<Namespace>"; }
  Result<std::optional<Value>> attribute(Interpreter& run, std::string_view name) override;
  void set(std::string_view name, Value value);

 private:
  std::vector<std::pair<std::string, Value>> attributes_;
};

class Macro final : public Object {
 public:
  Macro(const MacroSyntax& syntax, std::shared_ptr<Scope> scope) : syntax_(syntax), scope_(std::move(scope)) {}

  std::string type_name() const override { return "Macro"; }
  std::string printed() const override;
  Result<std::optional<Value>> attribute(Interpreter& run, std::string_view name) override;
  bool callable() const override { return true; }
  Result<Value> call(Interpreter& run, const Arguments& arguments) override;

 private:
  const MacroSyntax& syntax_;
  std::shared_ptr<Scope> scope_;  // where it was defined
};

// The `loop` variable. With a condition the items are looked for one by one, no sooner than somebody asks.
class Loop final : public Object {
 public:
  // `items` is a sequence.
  Loop(const For& syntax, std::shared_ptr<Scope> scope, Value items, int depth)
      : syntax_(syntax), scope_(std::move(scope)), items_(std::move(items)), depth_(depth) {}

  // The next item, or nullptr at the end.
  Result<const Value*> next(Interpreter& run);

  std::string type_name() const override { return "LoopContext"; }
  std::string printed() const override;
  Result<std::optional<Value>> attribute(Interpreter& run, std::string_view name) override;
  bool callable() const override { return syntax_.recursive; }
  Result<Value> call(Interpreter& run, const Arguments& arguments) override;
  // loop.cycle and loop.changed.
  Result<Value> cycle(const Arguments& arguments) const;
  Result<Value> changed(Interpreter& run, const Arguments& arguments);

 private:
  // Whether there is an item number `index`, counting those that pass.
  Result<bool> has(Interpreter& run, std::size_t index);
  Result<std::size_t> length(Interpreter& run);
  const Value& item(std::size_t index) const { return items_.as_sequence().items[passed_[index]]; }

  const For& syntax_;
  std::shared_ptr<Scope> scope_;
  Value items_;
  int depth_;
  std::vector<std::size_t> passed_;  // positions of the items that pass, as far as known
  std::size_t scanned_ = 0;          // items looked at
  std::size_t started_ = 0;          // items handed out
  std::optional<Value> last_changed_;
};

// cycler('a', 'b'): next(), reset(), current.
class Cycler final : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}

  std::string type_name() const override { return "Cycler"; }
  Result<std::optional<Value>> attribute(Interpreter& run, std::string_view name) override;
  Value next();
  void reset() { place_ = 0; }

 private:
  std::vector<Value> items_;
  std::size_t place_ = 0;
};

// joiner(', '): nothing on the first call, the separator on every later one.
class Joiner final : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}

  std::string type_name() const override { return "Joiner"; }
  Result<std::optional<Value>> attribute(Interpreter& run, std::string_view name) override;
  bool callable() const override { return true; }
  Result<Value> call(Interpreter& run, const Arguments& arguments) override;

 private:
  Value separator_;
  bool used_ = false;
};

}  // namespace mlxr::jinja
