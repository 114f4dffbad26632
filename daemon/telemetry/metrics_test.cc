#include "daemon/telemetry/metrics.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <set>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "core/runtime/engine/engine.h"
#include "core/runtime/engine/memory_plan.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

bool has_line(const std::string& page, const std::string& line) {
  return ("\n" + page).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, PageOfOneAnswer) {
  Metrics metrics;
  AnswerObservation answer;
  answer.model = "m";
  answer.dialect = "openai";
  answer.key = "alice";
  answer.finish_reasons = {"stop", "length"};
  answer.prompt_tokens = 100;
  answer.cached_tokens = 64;
  answer.generated_tokens = 11;
  answer.max_tokens = 50;
  answer.queue_seconds = 0.25;
  answer.first_token_seconds = 0.5;
  answer.prefill_seconds = 0.25;
  answer.decode_seconds = 2.0;
  answer.total_seconds = 2.5;
  answer.service = 58;
  metrics.observe_answer(answer);
  metrics.inter_token_latency.with({"m"}).observe(0.2, 10);
  const std::string page = metrics.text();
  for (const char* line : {
           "# TYPE vllm:prompt_tokens_total counter",
           "vllm:prompt_tokens_total{model_name=\"m\",engine=\"0\"} 100",
           "vllm:generation_tokens_total{model_name=\"m\",engine=\"0\"} 11",
           "vllm:request_success_total{model_name=\"m\",finished_reason=\"stop\",engine=\"0\"} 1",
           "vllm:request_success_total{model_name=\"m\",finished_reason=\"length\",engine=\"0\"} 1",
           "# TYPE vllm:time_to_first_token_seconds histogram",
           "vllm:time_to_first_token_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.25\"} 0",
           "vllm:time_to_first_token_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.5\"} 1",
           "vllm:time_to_first_token_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"+Inf\"} 1",
           "vllm:time_to_first_token_seconds_sum{model_name=\"m\",engine=\"0\"} 0.5",
           "vllm:time_to_first_token_seconds_count{model_name=\"m\",engine=\"0\"} 1",
           "vllm:inter_token_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.15\"} 0",
           "vllm:inter_token_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.2\"} 10",
           "vllm:inter_token_latency_seconds_sum{model_name=\"m\",engine=\"0\"} 2",
           "vllm:request_time_per_output_token_seconds_sum{model_name=\"m\",engine=\"0\"} 0.2",
           "vllm:request_inference_time_seconds_sum{model_name=\"m\",engine=\"0\"} 2.25",
           "vllm:e2e_request_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"2.5\"} 1",
           "llamacpp:prompt_tokens_total 36",
           "llamacpp:tokens_predicted_total 11",
           "llamacpp:predicted_tokens_seconds 5.5",
           "mlxr:requests_total{dialect=\"openai\",result=\"ok\"} 1",
           "mlxr:key_tokens_total{key=\"alice\",kind=\"cached\"} 64",
           "mlxr:key_service_total{key=\"alice\"} 58",
       }) {
    EXPECT_TRUE(has_line(page, line)) << line;
  }
}

TEST(Metrics, BrokenAnswersDoNotMakeTimesLookGood) {
  Metrics metrics;
  AnswerObservation answer;
  answer.model = "m";
  answer.result = "cancelled";
  answer.prompt_tokens = 10;
  answer.total_seconds = 0.1;
  metrics.observe_answer(answer);
  answer = {};
  answer.result = "not_found";  // there never was a model
  metrics.observe_answer(answer);
  const std::string page = metrics.text();
  EXPECT_EQ(page.find("vllm:e2e_request_latency_seconds"), std::string::npos);
  EXPECT_TRUE(has_line(page, "vllm:prompt_tokens_total{model_name=\"m\",engine=\"0\"} 10"));
  EXPECT_TRUE(has_line(page, "mlxr:key_requests_total{key=\"local\",result=\"not_found\"} 1"));
}

// Prometheus' format 0.0.4: names, one HELP and TYPE a family, no family twice, values that are numbers.
TEST(Metrics, EveryPageCanBeRead) {
  Metrics metrics;
  const EngineStats stats;
  MemoryPlan plan;
  metrics.observe_engine({.model = "we\"ird\\\n\xff", .stats = stats, .plan = &plan, .block_tokens = 32});
  metrics.observe_http({.method = "GET", .route = "/v1/models/{id}", .status = 200, .seconds = 0.5});
  metrics.kv_usage.with({"nan"}).set(std::numeric_limits<double>::quiet_NaN());
  const std::string page = metrics.text();
  EXPECT_NE(page.find("model_name=\"we\\\"ird\\\\\\n\xEF\xBF\xBD\""), std::string::npos);
  std::set<std::string> families;
  std::istringstream lines(page);
  std::string line;
  std::string family;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string first;
    std::string word;
    std::string name;
    words >> first;
    if (first == "#") {
      words >> word >> name;
      if (word == "HELP") {
        EXPECT_TRUE(families.insert(name).second) << name;
        family = name;
      }
      EXPECT_EQ(name, family);
      EXPECT_NE(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789:"), 0U) << name;
      continue;
    }
    EXPECT_EQ(first.find(family), 0U) << line;
    const std::string value = line.substr(line.rfind(' ') + 1);
    EXPECT_TRUE(value == "NaN" || value == "+Inf" || value.find_first_not_of("0123456789.e+-") == std::string::npos)
        << line;
  }
  EXPECT_GT(families.size(), 20U);
}

TEST(Metrics, OpenMetrics) {
  Metrics metrics;
  metrics.http_sent.with().add(5);
  metrics.http_time.with({"/"}).observe(1);
  const std::string page = metrics.text(MetricsFormat::kOpenMetrics);
  EXPECT_TRUE(has_line(page, "# TYPE mlxr:http_sent_bytes counter"));
  EXPECT_TRUE(has_line(page, "mlxr:http_sent_bytes_total 5"));
  EXPECT_TRUE(has_line(page, "mlxr:http_request_seconds_bucket{route=\"/\",le=\"1.0\"} 1"));
  EXPECT_TRUE(page.ends_with("# EOF\n"));
  EXPECT_EQ(Metrics::format_for("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"),
            MetricsFormat::kOpenMetrics);
  EXPECT_EQ(Metrics::format_for("*/*"), MetricsFormat::kPrometheus);
}

TEST(Metrics, CountersOfEnginesGoOnWhenOneIsLoadedAgain) {
  Metrics metrics;
  EngineStats stats;
  stats.num_steps = 100;
  stats.kv.hit_tokens = 30;
  stats.kv.miss_tokens = 10;
  stats.kv.used_blocks = 1;
  stats.kv.free_blocks = 3;
  stats.scheduler.running = 2;
  stats.step_ms = 1500;
  metrics.observe_engine({.model = "m", .stats = stats});
  metrics.observe_engine({.model = "m", .stats = stats});
  EXPECT_EQ(metrics.steps.with({"m"}).value(), 100);
  EXPECT_EQ(metrics.prefix_queries.with({"m"}).value(), 40);
  EXPECT_EQ(metrics.kv_usage.with({"m"}).value(), 0.25);
  EXPECT_EQ(metrics.prefix_hit_ratio.with({"m"}).value(), 0.75);
  EXPECT_EQ(metrics.engine_seconds.with({"m", "step"}).value(), 1.5);
  EXPECT_TRUE(has_line(metrics.text(), "mlxr:models_loaded 1"));

  metrics.forget_engine("m");
  std::string page = metrics.text();
  EXPECT_EQ(page.find("vllm:kv_cache_usage_perc"), std::string::npos);
  EXPECT_TRUE(has_line(page, "mlxr:steps_total{model_name=\"m\"} 100"));
  EXPECT_TRUE(has_line(page, "mlxr:models_loaded 0"));

  stats.num_steps = 5;
  metrics.observe_engine({.model = "m", .stats = stats});
  // Without being told, too: fewer steps are those of another engine.
  stats.num_steps = 2;
  metrics.observe_engine({.model = "m", .stats = stats});
  page = metrics.text();
  EXPECT_TRUE(has_line(page, "mlxr:steps_total{model_name=\"m\"} 107"));
  EXPECT_TRUE(has_line(page, "vllm:num_requests_running{model_name=\"m\",engine=\"0\"} 2"));
}

// MLXR_WRITE_DOCS=1 makes the page again.
TEST(MetricsPage, IsUpToDate) {
  const std::string path = MLXR_SOURCE_DIR "/docs/metrics.md";
  if (std::getenv("MLXR_WRITE_DOCS") != nullptr) test::write_file(path, metrics_markdown());
  EXPECT_EQ(test::read_file(path), metrics_markdown()) << "MLXR_WRITE_DOCS=1 telemetry_test makes it again";
}

TEST(MetricFamily, ManyLabelValuesShareOne) {
  MetricFamily<Counter> family(MetricInfo{"x", "a", "help"});
  for (std::size_t i = 0; i < MetricFamily<Counter>::kMaxChildren + 50; ++i)
    family.with({std::to_string(i)}).add();
  EXPECT_EQ(family.with({"other"}).value(), 50);
  std::size_t children = 0;
  family.visit([&](const std::vector<std::string>&, const Counter&) { ++children; });
  EXPECT_EQ(children, MetricFamily<Counter>::kMaxChildren + 1);
}

TEST(Histogram, BucketEndsBelongToTheirBucket) {
  static constexpr double kEnds[] = {1.0, 2.0};
  Histogram histogram(kEnds);
  for (const double value : {0.5, 1.0, 1.5, 2.0, 2.5, std::numeric_limits<double>::infinity()})
    histogram.observe(value);
  histogram.observe(std::numeric_limits<double>::quiet_NaN());
  const Histogram::Reading reading = histogram.read();
  EXPECT_EQ(reading.counts, (std::vector<std::uint64_t>{2, 2, 2}));
  EXPECT_EQ(reading.count(), 6U);
}

TEST(Metrics, ManyThreads) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&metrics, t] {
      Histogram& gaps = metrics.inter_token_latency.with({"m"});
      for (int i = 0; i < 2000; ++i) {
        gaps.observe(0.01);
        metrics.http_requests.with({"GET", std::to_string((i + t) % 7), "200"}).add();
        if (i % 500 == 0) {
          EXPECT_FALSE(metrics.text().empty());
        }
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(metrics.inter_token_latency.with({"m"}).read().count(), 8000U);
  double total = 0;
  metrics.http_requests.visit(
      [&](const std::vector<std::string>&, const Counter& counter) { total += counter.value(); });
  EXPECT_EQ(total, 8000);
}

}  // namespace
}  // namespace mlxr
