#include "daemon/registry/model_name.h"

#include <algorithm>

#include <fmt/core.h>

#include "daemon/registry/digest.h"
#include "daemon/registry/visible_text.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxHost = 350;
constexpr std::size_t kMaxPart = 80;
constexpr std::size_t kMaxShown = 120;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

Status check_part(const char* what, std::string_view part, std::string_view name) {
  const bool host = std::string_view(what) == "host";
  const auto wrong = [&](const std::string& why) {
    return invalid_argument(
        fmt::format("invalid model name \"{}\": the {} {}", visible_text(name, kMaxShown), what, why));
  };
  if (part.empty()) return wrong("is empty");
  const std::size_t limit = host ? kMaxHost : kMaxPart;
  if (part.size() > limit) return wrong(fmt::format("is longer than {} bytes", limit));
  if (!is_letter_or_digit(part[0])) return wrong("does not begin with a letter, a digit or '_'");
  for (const char c : part) {
    if (!is_letter_or_digit(c) && c != '-' && c != '.' && !(host && c == ':')) {
      return wrong("has characters other than letters, digits, '_', '-' and '.'");
    }
  }
  return {};
}

Result<ModelName> checked(ModelName name, std::string_view text) {
  MLXR_RETURN_IF_ERROR(check_part("host", name.host, text));
  MLXR_RETURN_IF_ERROR(check_part("namespace", name.name_space, text));
  MLXR_RETURN_IF_ERROR(check_part("model", name.model, text));
  MLXR_RETURN_IF_ERROR(check_part("tag", name.tag, text));
  if (lower_case(name.host) == "huggingface.co" || lower_case(name.host) == "hf.co") name.host = "hf.co";
  return name;
}

// The part of `text` behind its last '/', where ':' begins a tag and not a port.
std::size_t last_part(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  return slash == std::string_view::npos ? 0 : slash + 1;
}

}  // namespace

std::string ModelName::full() const {
  return host + "/" + name_space + "/" + model + ":" + tag;
}

std::string ModelName::display() const {
  const std::string short_name = model + ":" + tag;
  if (lower_case(host) != kDefaultHost) return host + "/" + name_space + "/" + short_name;
  return lower_case(name_space) == kDefaultNamespace ? short_name : name_space + "/" + short_name;
}

std::string ModelName::key() const {
  return lower_case(full());
}

std::string ModelName::manifest_path() const {
  return host + "/" + name_space + "/" + model + "/" + tag;
}

Result<ModelName> parse_model_name(std::string_view text) {
  if (text.empty()) return invalid_argument("the model's name is empty");
  const auto wrong = [&](const char* why) {
    return invalid_argument(fmt::format("invalid model name \"{}\": {}", visible_text(text, kMaxShown), why));
  };
  ModelName name{"https", std::string(kDefaultHost), std::string(kDefaultNamespace), "", std::string(kDefaultTag), ""};
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    const auto digest = parse_digest(rest.substr(at + 1));
    if (!digest.ok()) return wrong("what follows '@' is no digest");
    name.digest = *digest;
    rest = rest.substr(0, at);
  }
  if (const std::size_t end = rest.find("://"); end != std::string_view::npos) {
    name.scheme = lower_case(std::string(rest.substr(0, end)));
    if (name.scheme != "https" && name.scheme != "http") return wrong("the scheme is neither https nor http");
    rest = rest.substr(end + 3);
  }
  if (const std::size_t colon = rest.find(':', last_part(rest)); colon != std::string_view::npos) {
    name.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  const std::size_t begin = last_part(rest);
  name.model = rest.substr(begin);
  if (begin > 0) {
    rest = rest.substr(0, begin - 1);
    const std::size_t namespace_begin = last_part(rest);
    name.name_space = rest.substr(namespace_begin);
    if (namespace_begin > 0) name.host = rest.substr(0, namespace_begin - 1);
  }
  return checked(std::move(name), text);
}

Result<ModelName> model_name_of_parts(std::string_view host, std::string_view name_space, std::string_view model,
                                      std::string_view tag) {
  ModelName name{"https", std::string(host), std::string(name_space), std::string(model), std::string(tag), ""};
  return checked(name, name.full());
}

}  // namespace mlxr
