#pragma once
// What the statement parser (parser.cc) and the expression parser (expression_parser.cc) share: the token stream, the
// symbol table and the bound on nesting.

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/template/lexer.h"
#include "core/runtime/template/syntax.h"

namespace mlxr::jinja {

class ParserState {
 public:
  explicit ParserState(std::vector<Token> tokens);

  const Token& current() const { return tokens_[next_]; }
  const Token& ahead() const { return tokens_[next_ + 1 < tokens_.size() ? next_ + 1 : next_]; }
  // The current token, which is passed; the end stays.
  Token take();
  bool skip_operator(std::string_view op);
  bool skip_name(std::string_view name);
  Status expect(TokenType type, std::string_view what);
  Status expect_operator(std::string_view op);
  Status expect_name(std::string_view name);
  Result<std::string> expect_any_name();

  Symbol symbol(const std::string& name);
  std::vector<std::string> take_symbols() { return std::move(symbols_); }
  // How often a reserved symbol has been mentioned so far.
  int mentions(ReservedSymbol symbol) const { return mentions_[symbol]; }

  Status fail(const std::string& message) const { return fail_at(current().position, message); }
  static Status fail_at(Position position, const std::string& message);

  // Counts nesting while it lives.
  class Level {
   public:
    explicit Level(ParserState& state) : state_(state) { ++state_.level_; }
    ~Level() { --state_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    ParserState& state_;
  };
  Status check_level() const;

 private:
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  int level_ = 0;
  std::vector<std::string> symbols_;
  std::unordered_map<std::string, Symbol> symbol_numbers_;
  int mentions_[kNumReservedSymbols] = {};
};

// What the current token is, for messages.
std::string token_text(const Token& token);

class ExpressionParser {
 public:
  explicit ExpressionParser(ParserState& state) : state_(state) {}

  Result<ExpressionPtr> expression(bool with_condition = true);
  // a, b: a tuple without parentheses where there is a comma. `stop` is a name that ends it.
  Result<ExpressionPtr> tuple(bool with_condition = true, std::string_view stop = {});
  // name(arguments) | name ...: filters over a null input, for blocks.
  Result<ExpressionPtr> block_filters();

 private:
  Result<ExpressionPtr> conditional();
  Result<ExpressionPtr> logic(bool is_and);
  Result<ExpressionPtr> negation();
  Result<ExpressionPtr> comparison();
  Result<ExpressionPtr> sum();
  Result<ExpressionPtr> concatenation();
  Result<ExpressionPtr> product();
  Result<ExpressionPtr> power();
  Result<ExpressionPtr> unary(bool with_filters);
  Result<ExpressionPtr> primary();
  Result<ExpressionPtr> name_or_constant();
  Result<ExpressionPtr> number();
  Result<ExpressionPtr> parenthesised();
  Result<ExpressionPtr> list();
  Result<ExpressionPtr> dict();
  Result<ExpressionPtr> postfix(ExpressionPtr node);
  Result<ExpressionPtr> filters_and_tests(ExpressionPtr node);
  Result<ExpressionPtr> attribute(ExpressionPtr object);
  Result<ExpressionPtr> subscript(ExpressionPtr object);
  Result<ExpressionPtr> filter(ExpressionPtr input);
  Result<ExpressionPtr> test(ExpressionPtr input);
  Result<ExpressionPtr> call(ExpressionPtr callee);
  Result<CallSyntax> arguments();
  Result<std::string> dotted_name();
  bool ends_tuple(std::string_view stop) const;

  template <class Node>
  Result<ExpressionPtr> make(Position position, int depth, Node node);

  ParserState& state_;
};

}  // namespace mlxr::jinja
