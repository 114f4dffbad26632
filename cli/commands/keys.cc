// mlxr keys: API keys of the daemon.

#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/daemon_client.h"
#include "cli/times.h"
#include "daemon/settings/settings.h"

namespace mlxr::cli {
namespace {

using Json = nlohmann::ordered_json;

struct KeysOptions {
  bool create = false, revoke = false;
  std::string name;
  std::vector<std::string> scopes, models;
  std::int64_t requests_per_minute = 0, tokens_per_minute = 0, tokens_per_day = 0, tokens_per_month = 0;
  double weight = 1.0;
  std::string expires_in;
};

std::string joined(const Json& texts, const char* none) {
  std::string out;
  for (const Json& text : texts)
    out += (out.empty() ? "" : ", ") + printable(text.get<std::string>());
  return out.empty() ? none : out;
}

Status list_keys(DaemonClient& client, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const Json keys, client.call({.path = "/v1/keys"}));
  if (output.json()) {
    output.write_json(keys);
    return {};
  }
  const std::int64_t now = std::time(nullptr);
  const auto time_text = [now](const Json& key, const char* member, const char* none) {
    const Json value = key.value(member, Json());
    return value.is_number_integer() ? relative_time(value.get<std::int64_t>(), now) : std::string(none);
  };
  Table table{
      .header = {"NAME", "ID", "KEY", "SCOPES", "MODELS", "CREATED", "LAST USED", "STATE"}, .align = {}, .rows = {}};
  for (const Json& key : keys.value("keys", Json::array())) {
    std::string state = "good";
    const Json expires = key.value("expires", Json());
    if (expires.is_number_integer()) {
      state = (expires.get<std::int64_t>() <= now ? "expired " : "expires ") +
              relative_time(expires.get<std::int64_t>(), now);
    }
    if (key.value("revoked", Json()).is_number_integer()) state = "revoked";
    table.rows.push_back({printable(key.value("name", std::string())), key.value("id", std::string()),
                          printable(key.value("prefix", std::string())) + "...",
                          joined(key.value("scopes", Json::array()), "none"),
                          joined(key.value("models", Json::array()), "all"), time_text(key, "created", "-"),
                          time_text(key, "last_used", "never"), state});
  }
  output.table(table);
  return {};
}

Status create_key(DaemonClient& client, const KeysOptions& options, Output& output) {
  Json body = {{"name", options.name}};
  if (!options.scopes.empty()) body["scopes"] = options.scopes;
  if (!options.models.empty()) body["models"] = options.models;
  const auto limit = [&body](const char* member, std::int64_t value) {
    if (value > 0) body[member] = value;
  };
  limit("requests_per_minute", options.requests_per_minute);
  limit("tokens_per_minute", options.tokens_per_minute);
  limit("tokens_per_day", options.tokens_per_day);
  limit("tokens_per_month", options.tokens_per_month);
  if (options.weight != 1.0) body["weight"] = options.weight;
  if (!options.expires_in.empty()) {
    const Result<Duration> duration = parse_duration(options.expires_in);
    if (!duration.ok() || duration->count() <= 0)
      throw CLI::ValidationError("--expires-in", "\"" + options.expires_in + "\" is no time from now, such as 720h");
    body["expires"] = std::time(nullptr) + std::chrono::duration_cast<std::chrono::seconds>(*duration).count();
  }
  MLXR_ASSIGN_OR_RETURN(const Json key, client.call({.method = "POST", .path = "/v1/keys", .body = &body}));
  if (output.json()) {
    output.write_json(key);
    return {};
  }
  output.line(key.value("key", std::string()));
  output.flush();
  fmt::print(stderr, "This is the only time that the key is shown. Send it as \"Authorization: Bearer KEY\".\n");
  return {};
}

Status keys(const KeysOptions& options, Output& output) {
  const auto start = options.create || options.revoke ? DaemonClient::Start::kWhenAbsent : DaemonClient::Start::kNever;
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(start));
  if (options.create) return create_key(client, options, output);
  if (!options.revoke) return list_keys(client, output);
  MLXR_RETURN_IF_ERROR(
      client.call({.method = "DELETE", .path = "/v1/keys/" + escaped_path_part(options.name)}).status());
  if (output.json()) {
    output.write_json({{"revoked", options.name}});
  } else {
    output.line("revoked " + printable(options.name));
  }
  return {};
}

void add_create_options(CLI::App& app, KeysOptions& options) {
  app.add_option("name", options.name, "what the key is for")->required();
  app.add_option("--scope", options.scopes, "inference, models:read, models:write, metrics or admin; may be repeated");
  app.add_option("--model", options.models, "a model that it may use, * for any characters; may be repeated");
  app.add_option("--requests-per-minute", options.requests_per_minute, "requests a minute at most");
  app.add_option("--tokens-per-minute", options.tokens_per_minute, "tokens a minute at most");
  app.add_option("--tokens-per-day", options.tokens_per_day, "tokens a day at most");
  app.add_option("--tokens-per-month", options.tokens_per_month, "tokens a month at most");
  app.add_option("--weight", options.weight, "share of the machine beside other keys'")->capture_default_str();
  app.add_option("--expires-in", options.expires_in, "how long it is good, such as 720h");
}

}  // namespace

CommandBody declare_keys(CLI::App& app) {
  auto options = std::make_shared<KeysOptions>();
  app.require_subcommand(1);
  app.add_subcommand("list", "Show all keys")->fallthrough();
  CLI::App* create = app.add_subcommand("create", "Make a key and show it, once");
  create->fallthrough();
  add_create_options(*create, *options);
  CLI::App* revoke = app.add_subcommand("revoke", "End a key for good");
  revoke->fallthrough();
  revoke->add_option("key", options->name, "its name or id")->required();
  create->callback([options] { options->create = true; });
  revoke->callback([options] { options->revoke = true; });
  return [options](Output& output) { return keys(*options, output); };
}

}  // namespace mlxr::cli
