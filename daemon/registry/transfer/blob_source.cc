#include "daemon/registry/transfer/blob_source.h"

#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "daemon/registry/transfer/url.h"

namespace mlxr {
namespace {

bool parse_number(std::string_view& text, char stop, std::uint64_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (stop == '\0') return text.empty();
  if (text.empty() || text.front() != stop) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

bool parse_content_range(std::string_view text, ContentRange* range) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return false;
  text.remove_prefix(kUnit.size());
  return parse_number(text, '-', &range->first) && parse_number(text, '/', &range->last) &&
         parse_number(text, '\0', &range->total) && range->first <= range->last && range->last < range->total;
}

std::string validator_of(const HttpHeaders& headers) {
  if (const std::string* tag = find_header(headers, "ETag")) return *tag;
  if (const std::string* time = find_header(headers, "Last-Modified")) return *time;
  return {};
}

Result<ProbeReply> probe_blob(const HttpClient& http, HttpRequest request, const CancelToken& cancel) {
  request.headers.push_back({"Range", "bytes=0-0"});
  request.headers_only = true;
  request.max_body_bytes = 64 << 10;
  const bool has_secret = !request.authorization.empty();
  const std::string authorization = request.authorization;
  const std::string asked = request.url;
  MLXR_ASSIGN_OR_RETURN(HttpReply reply, http.send_with_retries(request, cancel));
  ProbeReply probe;
  if (!reply.ok()) {
    probe.refused = std::move(reply);
    return probe;
  }
  probe.ok = true;
  BlobAddress& address = probe.address;
  address.url = reply.url;
  address.validator = validator_of(reply.headers);
  if (has_secret) {
    MLXR_ASSIGN_OR_RETURN(const Url from, parse_url(asked));
    MLXR_ASSIGN_OR_RETURN(const Url to, parse_url(reply.url));
    if (from.same_origin(to)) address.headers.push_back({"Authorization", authorization});
  }
  const std::string* range_text = find_header(reply.headers, "Content-Range");
  ContentRange range;
  if (reply.status == 206 && range_text != nullptr && parse_content_range(*range_text, &range)) {
    address.has_ranges = true;
    address.size = range.total;
    return probe;
  }
  const std::string* length = find_header(reply.headers, "Content-Length");
  std::string_view text = length == nullptr ? std::string_view() : *length;
  if (reply.status == 206 || !parse_number(text, '\0', &address.size)) {
    return corrupt(fmt::format("{}: the server does not say how long the file is", without_query(asked)));
  }
  return probe;
}

}  // namespace mlxr
