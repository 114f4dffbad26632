// mlxr doctor: looks at the machine, the settings, the daemon and the store, and says what to do.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/doctor_checks.h"

namespace mlxr::cli {
namespace {

Style style_of(Health health) {
  switch (health) {
    case Health::kOk:
      return Style::kGreen;
    case Health::kWarning:
      return Style::kYellow;
    case Health::kError:
      break;
  }
  return Style::kRed;
}

void show(const std::vector<Finding>& findings, Output& output) {
  std::size_t width = 0;
  for (const Finding& finding : findings)
    width = std::max(width, text_width(finding.subject));
  for (const Finding& finding : findings) {
    output.line(fmt::format("{} {:{}}  {}",
                            output.styled(fmt::format("{:7}", health_name(finding.health)), style_of(finding.health)),
                            finding.subject, width, printable(finding.text)));
    if (!finding.advice.empty()) output.line(fmt::format("{:8}{:{}}  {}", "", "", width, printable(finding.advice)));
  }
}

Status doctor(const StoreCheck& options, Output& output) {
  std::vector<Finding> findings = check_machine();
  const auto add = [&findings](const std::vector<Finding>& more) {
    findings.insert(findings.end(), more.begin(), more.end());
  };
  const std::string models = models_folder();
  add({check_settings()});
  add(check_folders(models));
  add(check_daemon());
  add(check_store_of(models, options));
  std::size_t num_errors = 0;
  for (const Finding& finding : findings)
    num_errors += finding.health == Health::kError ? 1 : 0;
  if (output.json()) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"health", health_name(finding.health)},
                      {"subject", finding.subject},
                      {"text", finding.text},
                      {"advice", finding.advice}});
    }
    output.write_json({{"errors", num_errors}, {"findings", std::move(list)}});
  } else {
    show(findings, output);
  }
  if (num_errors == 0) return {};
  return internal(fmt::format("{} of {} checks failed", num_errors, findings.size()));
}

}  // namespace

CommandBody declare_doctor(CLI::App& app) {
  auto options = std::make_shared<StoreCheck>();
  app.add_flag("--verify", options->verify, "read every blob of the store and compare its digest");
  app.add_flag("--repair", options->repair, "remove leftovers and broken blobs, make what can be made again");
  return [options](Output& output) { return doctor(*options, output); };
}

}  // namespace mlxr::cli
