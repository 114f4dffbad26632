// The page of names that is made of the rows.

#include <fmt/core.h>

#include "daemon/telemetry/metrics.h"

namespace mlxr {
namespace {

struct Row {
  std::string_view kind;
  std::string_view name;
  std::string_view labels;
  std::string_view help;
};

constexpr Row kRows[] = {
#define MLXR_METRIC(kind, member, name, labels, buckets, help) {#kind, name, labels, help},
#include "daemon/telemetry/metrics.def"
#undef MLXR_METRIC
};

}  // namespace

std::string metrics_markdown() {
  std::string out =
      "# Metrics\n\n"
      "Made from `daemon/telemetry/metrics.def` by `MLXR_WRITE_DOCS=1 telemetry_test`; a test compares.\n\n"
      "`/metrics` answers in Prometheus' text format, or as OpenMetrics where that is asked for. Names that begin "
      "with\n"
      "`vllm:` and `llamacpp:` mean what they mean there, so that dashboards made for those servers work. Rows of a\n"
      "metric appear with their first value.\n\n"
      "| name | kind | labels | what |\n|---|---|---|---|\n";
  for (const Row& row : kRows) {
    const bool counter = row.kind == "Counter";
    std::string kind = counter ? "counter" : row.kind == "Gauge" ? "gauge" : "histogram";
    std::string labels(row.labels);
    for (std::size_t comma = 0; (comma = labels.find(',', comma)) != std::string::npos; comma += 2)
      labels.replace(comma, 1, ", ");
    if (row.name.starts_with("vllm:")) labels += ", engine";
    out += fmt::format("| `{}{}` | {} | {} | {} |\n", row.name, counter ? "_total" : "", kind, labels, row.help);
  }
  return out;
}

}  // namespace mlxr
