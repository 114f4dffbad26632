#include "daemon/telemetry/trace.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mlxr {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

TEST(Trace, SpansOfARequest) {
  TraceStore store(10);
  const TraceTime start = std::chrono::steady_clock::now();
  const auto trace = store.start({.request_id = "r1", .model = "m", .dialect = "openai", .route = "/v1/x"}, start);
  const std::size_t queued = trace->begin("queued", start);
  trace->end(queued, start + 10ms);
  trace->end(queued, start + 99ms);  // only the first counts
  trace->add("prefill", start + 10ms, start + 30ms, {{"tokens", std::int64_t{512}}});
  trace->event("first_token", start + 30ms);
  trace->begin("decode", start + 30ms);
  Json json = Json::parse(trace_json(*trace));
  EXPECT_EQ(json["finished"], false);
  EXPECT_EQ(json["spans"][3]["open"], true);

  trace->set("tokens", std::int64_t{1});
  trace->set("tokens", std::int64_t{7});
  store.finish(trace, "ok", start + 50ms);
  store.finish(trace, "cancelled", start + 60ms);
  json = Json::parse(trace_json(*store.find("r1")));
  EXPECT_EQ(json["result"], "ok");
  EXPECT_EQ(json["total_ms"], 50.0);
  EXPECT_EQ(json["attributes"]["tokens"], 7);
  ASSERT_EQ(json["spans"].size(), 4U);
  EXPECT_EQ(json["spans"][0]["name"], "queued");
  EXPECT_EQ(json["spans"][0]["duration_ms"], 10.0);
  EXPECT_EQ(json["spans"][1]["attributes"]["tokens"], 512);
  EXPECT_EQ(json["spans"][3]["duration_ms"], 20.0);
  EXPECT_EQ(store.find("r2"), nullptr);
}

TEST(Trace, RingKeepsTheLatest) {
  int finished = 0;
  TraceStore store(3, [&](const std::shared_ptr<const RequestTrace>&) { ++finished; });
  std::vector<std::shared_ptr<RequestTrace>> traces;
  for (int i = 0; i < 5; ++i)
    traces.push_back(store.start({.request_id = "r" + std::to_string(i)}));
  EXPECT_EQ(store.find("r1"), nullptr);
  EXPECT_NE(store.find("r2"), nullptr);
  const auto latest = store.latest(2);
  ASSERT_EQ(latest.size(), 2U);
  EXPECT_EQ(latest[0]->request_id(), "r4");
  for (const auto& trace : traces)
    store.finish(trace, "ok");
  EXPECT_EQ(finished, 5);
  // An id that comes again is the later request.
  const auto again = store.start({.request_id = "r2"});
  EXPECT_EQ(store.find("r2"), again);
  store.set_keep(1);
  EXPECT_EQ(store.latest(9).size(), 1U);
  EXPECT_EQ(store.find("r4"), nullptr);
  store.set_keep(0);
  store.start({.request_id = "r9"});
  EXPECT_EQ(store.find("r9"), nullptr);
}

TEST(Trace, SpansAreBounded) {
  TraceStore store(1);
  const TraceTime now = std::chrono::steady_clock::now();
  const auto trace = store.start({.request_id = "r"}, now);
  for (std::size_t i = 0; i < RequestTrace::kMaxSpans + 5; ++i)
    trace->end(trace->begin("x", now), now);
  EXPECT_EQ(Json::parse(trace_json(*trace))["dropped_spans"], 5);
}

TEST(Trace, TextsThatAreNotUtf8) {
  TraceStore store(1);
  const auto trace = store.start({.request_id = "r\xff"});
  trace->set("x\xff", std::string("\xff"));
  EXPECT_FALSE(Json::parse(trace_json(*trace), nullptr, false).is_discarded());
  EXPECT_FALSE(Json::parse(otlp_json({trace}), nullptr, false).is_discarded());
}

TEST(Trace, TakesTheCallersTraceId) {
  struct Case {
    const char* header;
    bool taken;
  };
  const Case cases[] = {
      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
      {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true},
      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false},
      {"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
      {"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
      {"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
      {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
      {"", false},
      {"nonsense", false},
  };
  TraceStore store(10);
  for (const Case& c : cases) {
    const auto trace = store.start({.request_id = "r", .traceparent = c.header});
    EXPECT_EQ(trace->trace_id() == "0af7651916cd43dd8448eb211c80319c", c.taken) << c.header;
    EXPECT_EQ(trace->snapshot().parent_span_id, c.taken ? "b7ad6b7169203331" : "") << c.header;
    EXPECT_EQ(trace->trace_id().size(), 32U);
  }
}

// The shape of opentelemetry-proto's trace.proto in JSON: ids in hexadecimal, times and integers as strings.
TEST(Trace, OpenTelemetry) {
  TraceStore store(10);
  const TraceTime start = std::chrono::steady_clock::now();
  const auto trace = store.start({.request_id = "r", .route = "/v1/x"}, start);
  trace->add("prefill", start, start + 2ms, {{"tokens", std::int64_t{5}}, {"share", 0.5}, {"last", true}});
  trace->event("first_token", start + 2ms);
  store.finish(trace, "internal", start + 3ms);
  const Json json = Json::parse(otlp_json({trace}));
  const Json& resource = json["resourceSpans"][0];
  EXPECT_EQ(resource["resource"]["attributes"][0]["key"], "service.name");
  const Json& spans = resource["scopeSpans"][0]["spans"];
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0]["name"], "/v1/x");
  EXPECT_EQ(spans[0]["kind"], 2);
  EXPECT_EQ(spans[0]["status"]["code"], 2);
  EXPECT_EQ(spans[0]["events"][0]["name"], "first_token");
  EXPECT_EQ(spans[1]["parentSpanId"], spans[0]["spanId"]);
  EXPECT_EQ(spans[1]["traceId"].get<std::string>(), trace->trace_id());
  EXPECT_EQ(spans[1]["attributes"][0]["value"]["intValue"], "5");
  const auto ns = [&](const Json& span, const char* name) { return std::stoll(span[name].get<std::string>()); };
  EXPECT_EQ(ns(spans[1], "endTimeUnixNano") - ns(spans[1], "startTimeUnixNano"), 2000000);
}

}  // namespace
}  // namespace mlxr
