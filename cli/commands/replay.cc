// mlxr replay FILE: runs recorded requests again and tells how answers and times differ.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/daemon_client.h"
#include "daemon/telemetry/request_record.h"

namespace mlxr::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ReplayOptions {
  std::string file;
  std::vector<std::string> ids;
};

struct Difference {
  bool same = true;
  std::string where;  // "choice 0 from token 5: 12 instead of 17"
};

Difference compare(const RequestRecord& then, const RequestRecord& now) {
  if (then.result != now.result) return {false, fmt::format("ended with {} instead of {}", now.result, then.result)};
  if (then.prompt_tokens != now.prompt_tokens) return {false, "the prompt became other tokens"};
  if (then.choices.size() != now.choices.size())
    return {false, fmt::format("{} choices instead of {}", now.choices.size(), then.choices.size())};
  for (std::size_t i = 0; i < then.choices.size(); ++i) {
    const auto& a = then.choices[i].tokens;
    const auto& b = now.choices[i].tokens;
    const auto first = std::ranges::mismatch(a, b);
    if (first.in1 == a.end() && first.in2 == b.end()) continue;
    const auto name = [](auto at, auto end) { return at == end ? std::string("the end") : std::to_string(*at); };
    return {false, fmt::format("choice {} differs from token {}: {} instead of {}", i, first.in1 - a.begin(),
                               name(first.in2, b.end()), name(first.in1, a.end()))};
  }
  return {};
}

std::string change_text(double then, double now) {
  if (then <= 0.0) return fmt::format("{:.1f} ms", now);
  return fmt::format("{:.1f} -> {:.1f} ms ({:+.0f} %)", then, now, 100.0 * (now - then) / then);
}

Json times_json(const RequestRecord& record) {
  return {{"queue_ms", record.queue_ms}, {"first_token_ms", record.first_token_ms}, {"total_ms", record.total_ms}};
}

Result<RequestRecord> run_again(DaemonClient& client, const RequestRecord& record) {
  const Json body = Json::parse(record_line(record), nullptr, false);
  MLXR_ASSIGN_OR_RETURN(const std::string answer,
                        client.call_text({.method = "POST", .path = "/v1/replay", .body = &body}));
  return parse_record(answer);
}

void show(const RequestRecord& then, const RequestRecord& now, const Difference& difference, Output& output) {
  if (output.json()) {
    output.write_json_line({{"id", then.id},
                            {"route", then.route},
                            {"model", then.model},
                            {"same_tokens", difference.same},
                            {"difference", difference.where},
                            {"same_model", then.model_digest == now.model_digest},
                            {"then", times_json(then)},
                            {"now", times_json(now)}});
    return;
  }
  const std::string verdict = difference.same ? output.styled("same tokens", Style::kGreen)
                                              : output.styled(printable(difference.where), Style::kRed);
  output.line(fmt::format("{}  {}  {}", printable(then.id), printable(then.model), verdict));
  if (then.model_digest != now.model_digest) output.line("  the model is another one than then");
  output.line(fmt::format("  first token {}, whole answer {}", change_text(then.first_token_ms, now.first_token_ms),
                          change_text(then.total_ms, now.total_ms)));
}

Status replay(const ReplayOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::vector<RequestRecord> records, read_records(options.file));
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
  std::size_t num_run = 0, num_different = 0;
  for (const RequestRecord& record : records) {
    if (!options.ids.empty() && std::ranges::find(options.ids, record.id) == options.ids.end()) continue;
    Result<RequestRecord> again = run_again(client, record);
    if (!again.ok()) return again.status().with_context(record.id);
    const Difference difference = compare(record, *again);
    show(record, *again, difference, output);
    output.flush();
    ++num_run;
    num_different += difference.same ? 0 : 1;
  }
  if (num_run == 0) return not_found(fmt::format("{}: holds no such request", options.file));
  if (num_different > 0) return internal(fmt::format("{} of {} answers differ", num_different, num_run));
  return {};
}

}  // namespace

CommandBody declare_replay(CLI::App& app) {
  auto options = std::make_shared<ReplayOptions>();
  app.add_option("file", options->file, "what the daemon wrote (setting record_file)")->required();
  app.add_option("id", options->ids, "ids of requests (default: all)");
  return [options](Output& output) { return replay(*options, output); };
}

}  // namespace mlxr::cli
