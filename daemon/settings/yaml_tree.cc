#include "daemon/settings/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cctype>
#include <sstream>

#include <fmt/core.h>

#include "core/base/utf8.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxNodes = 20000;
constexpr std::size_t kMaxFlowDepth = 64;

struct Refused {
  int line;
  std::string message;
};

// Builds the tree from the parser's events, which come before their content is parsed: what is too deep or too much
// ends the parse at once.
class TreeBuilder : public YAML::EventHandler {
 public:
  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) refuse(mark, "a second document begins here");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override { add(node(mark, YamlNode::Kind::kNull)); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override { refuse(mark, "aliases are not allowed"); }
  void OnAnchor(const YAML::Mark& mark, const std::string& /*name*/) override {
    refuse(mark, "anchors are not allowed");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    check_tag(mark, tag);
    YamlNode scalar = node(mark, YamlNode::Kind::kScalar);
    scalar.text = value;
    add(std::move(scalar));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value style) override {
    open(mark, tag, YamlNode::Kind::kSequence, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value style) override {
    open(mark, tag, YamlNode::Kind::kMapping, style);
  }
  void OnMapEnd() override { close(); }

 private:
  [[noreturn]] static void refuse(const YAML::Mark& mark, std::string message) {
    throw Refused{mark.line + 1, std::move(message)};
  }
  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "tags are not allowed");
  }
  YamlNode node(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (++count_ > kMaxNodes) refuse(mark, fmt::format("there are more than {} values", kMaxNodes));
    YamlNode made;
    made.kind = kind;
    made.line = mark.line + 1;
    made.column = mark.column;
    return made;
  }
  void open(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind, YAML::EmitterStyle::value style) {
    check_tag(mark, tag);
    if (stack_.size() >= kMaxDepth) refuse(mark, fmt::format("values are nested more than {} deep", kMaxDepth));
    stack_.push_back(node(mark, kind));
    stack_.back().flow = style == YAML::EmitterStyle::Flow;
    expecting_value_.push_back(false);
  }
  void close() {
    YamlNode done = std::move(stack_.back());
    stack_.pop_back();
    expecting_value_.pop_back();
    add(std::move(done));
  }
  void add(YamlNode done) {
    if (stack_.empty()) {
      root_ = std::move(done);
      return;
    }
    YamlNode& parent = stack_.back();
    if (parent.kind == YamlNode::Kind::kSequence) {
      parent.items.push_back(std::move(done));
    } else if (expecting_value_.back()) {
      parent.entries.back().second = std::move(done);
      expecting_value_.back() = false;
    } else {
      if (done.kind != YamlNode::Kind::kScalar) throw Refused{done.line, "a key is not a plain name"};
      if (parent.find(done.text) != nullptr)
        throw Refused{done.line, "the key \"" + shown(done.text) + "\" is given twice"};
      parent.entries.emplace_back(std::move(done), YamlNode{});
      expecting_value_.back() = true;
    }
  }
  static std::string shown(const std::string& text) {
    std::string out;
    for (const char c : text.substr(0, 60))
      out += c >= 0x20 && c < 0x7F ? c : '?';
    return out;
  }

  YamlNode root_;
  std::vector<YamlNode> stack_;
  std::vector<bool> expecting_value_;  // one an open mapping or sequence
  std::size_t count_ = 0;
  int documents_ = 0;
};

Status error_at(const std::string& path, int line, const std::string& message) {
  return corrupt(fmt::format("{}:{}: {}", path, line, message));
}

// The scanner keeps a stack of brackets of its own before any event tells of them.
Status check_brackets(std::string_view text, const std::string& path) {
  std::size_t depth = 0;
  int line = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (depth > kMaxFlowDepth) return error_at(path, line, "too many brackets are open");
  }
  return {};
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.first.text == key; });
  return found == entries.end() ? nullptr : &found->second;
}

Result<YamlNode> parse_yaml(std::string_view text, const std::string& path) {
  if (text.size() > kMaxYamlBytes) return corrupt(fmt::format("{}: is larger than {} bytes", path, kMaxYamlBytes));
  if (const std::size_t valid = valid_utf8_prefix(text); valid != text.size() || text.find('\0') < text.size()) {
    const std::size_t at = std::min(valid, text.find('\0'));
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    return error_at(path, static_cast<int>(line), "is not UTF-8 text");
  }
  MLXR_RETURN_IF_ERROR(check_brackets(text, path));
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    TreeBuilder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const Refused& refused) {
    return error_at(path, refused.line, refused.message);
  } catch (const YAML::Exception& error) {
    return error_at(path, error.mark.line + 1, error.msg);
  } catch (const std::exception& error) {
    return corrupt(fmt::format("{}: {}", path, error.what()));
  }
}

Status yaml_error(const std::string& path, const YamlNode& node, const std::string& message) {
  return error_at(path, node.line, message);
}

std::string yaml_scalar(std::string_view text) {
  const auto among = [](char c, std::string_view set) { return set.find(c) != std::string_view::npos; };
  const auto plain = [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || among(c, "_./+@%()=-:");
  };
  bool quote = text.empty() || text == "null" || text == "Null" || text == "NULL" || text.back() == ':' ||
               !std::all_of(text.begin(), text.end(), plain) || among(text.front(), "%@=:");
  // "-1" is plain, "-" and "-a" may be taken for the item of a list.
  if (!quote && text.front() == '-') quote = text.size() == 1 || std::isdigit(static_cast<unsigned char>(text[1])) == 0;
  if (!quote) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace mlxr
