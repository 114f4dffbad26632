// Traces as JSON: for people who ask the daemon, and for OpenTelemetry collectors.

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "daemon/telemetry/trace.h"

namespace mlxr {
namespace {

using Json = nlohmann::ordered_json;

double ms_since(TraceTime start, TraceTime at) {
  return std::chrono::duration<double, std::milli>(at - start).count();
}

Json value_json(const TraceValue& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

// Texts come from outside; what is not UTF-8 is replaced.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json otlp_value(const TraceValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return {{"stringValue", *text}};
  // 64-bit integers are strings in the JSON of protocol buffers.
  if (const auto* number = std::get_if<std::int64_t>(&value)) return {{"intValue", std::to_string(*number)}};
  if (const auto* number = std::get_if<double>(&value)) return {{"doubleValue", *number}};
  return {{"boolValue", std::get<bool>(value)}};
}

Json otlp_attributes(const TraceAttributes& attributes) {
  Json out = Json::array();
  for (const auto& [name, value] : attributes)
    out.push_back({{"key", name}, {"value", otlp_value(value)}});
  return out;
}

void append_spans(const RequestTrace::Snapshot& trace, Json& spans) {
  const auto unix_ns = [&](TraceTime at) {
    return std::to_string(trace.start_unix_ns +
                          std::chrono::duration_cast<std::chrono::nanoseconds>(at - trace.start).count());
  };
  TraceAttributes attributes = {{"mlxr.request_id", trace.identity.request_id},
                                {"gen_ai.request.model", trace.identity.model},
                                {"mlxr.dialect", trace.identity.dialect},
                                {"http.route", trace.identity.route},
                                {"mlxr.result", trace.result}};
  attributes.insert(attributes.end(), trace.attributes.begin(), trace.attributes.end());
  constexpr int kServer = 2;
  constexpr int kInternal = 1;
  Json root = {{"traceId", trace.trace_id},
               {"spanId", trace.span_id},
               {"name", trace.identity.route.empty() ? std::string("request") : trace.identity.route},
               {"kind", kServer},
               {"startTimeUnixNano", unix_ns(trace.start)},
               {"endTimeUnixNano", unix_ns(trace.end)},
               {"attributes", otlp_attributes(attributes)}};
  if (!trace.parent_span_id.empty()) root["parentSpanId"] = trace.parent_span_id;
  const bool failed = trace.result != "ok" && trace.result != "cancelled";
  if (failed) root["status"] = {{"code", 2}, {"message", trace.result}};
  Json events = Json::array();
  Json children = Json::array();
  std::uint64_t number = 0;
  for (const TraceSpan& span : trace.spans) {
    if (span.start == span.end) {
      events.push_back({{"timeUnixNano", unix_ns(span.start)},
                        {"name", span.name},
                        {"attributes", otlp_attributes(span.attributes)}});
      continue;
    }
    // Ids of children follow from the request's: eight digits of it, and their number.
    children.push_back({{"traceId", trace.trace_id},
                        {"spanId", trace.span_id.substr(0, 8) + fmt::format("{:08x}", ++number)},
                        {"parentSpanId", trace.span_id},
                        {"name", span.name},
                        {"kind", kInternal},
                        {"startTimeUnixNano", unix_ns(span.start)},
                        {"endTimeUnixNano", unix_ns(span.end)},
                        {"attributes", otlp_attributes(span.attributes)}});
  }
  root["events"] = std::move(events);
  if (trace.dropped_spans > 0) root["droppedEventsCount"] = trace.dropped_spans;
  spans.push_back(std::move(root));
  for (Json& child : children)
    spans.push_back(std::move(child));
}

}  // namespace

std::string trace_json(const RequestTrace& request) {
  const RequestTrace::Snapshot trace = request.snapshot();
  Json out = {{"request_id", trace.identity.request_id},
              {"trace_id", trace.trace_id},
              {"model", trace.identity.model},
              {"dialect", trace.identity.dialect},
              {"route", trace.identity.route},
              {"started_unix_ms", trace.start_unix_ns / 1000000},
              {"finished", trace.finished}};
  if (trace.finished) {
    out["result"] = trace.result;
    out["total_ms"] = ms_since(trace.start, trace.end);
  }
  for (const auto& [name, value] : trace.attributes)
    out["attributes"][name] = value_json(value);
  std::vector<const TraceSpan*> ordered;
  for (const TraceSpan& span : trace.spans)
    ordered.push_back(&span);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const TraceSpan* a, const TraceSpan* b) { return a->start < b->start; });
  out["spans"] = Json::array();
  for (const TraceSpan* span : ordered) {
    Json row = {{"name", span->name}, {"start_ms", ms_since(trace.start, span->start)}};
    if (span->open) {
      row["open"] = true;
    } else {
      row["duration_ms"] = ms_since(span->start, span->end);
    }
    for (const auto& [name, value] : span->attributes)
      row["attributes"][name] = value_json(value);
    out["spans"].push_back(std::move(row));
  }
  if (trace.dropped_spans > 0) out["dropped_spans"] = trace.dropped_spans;
  return dump(out);
}

std::string otlp_json(const std::vector<std::shared_ptr<const RequestTrace>>& traces) {
  Json spans = Json::array();
  for (const auto& trace : traces)
    append_spans(trace->snapshot(), spans);
  const Json service = {{"key", "service.name"}, {"value", {{"stringValue", "mlxrunnerd"}}}};
  const Json out = {
      {"resourceSpans",
       Json::array({{{"resource", {{"attributes", Json::array({service})}}},
                     {"scopeSpans", Json::array({{{"scope", {{"name", "mlxr"}}}, {"spans", std::move(spans)}}})}}})}};
  return dump(out);
}

}  // namespace mlxr
