#include "daemon/telemetry/otlp_export.h"

#include <curl/curl.h>

#include <algorithm>

#include <fmt/core.h>

namespace mlxr {
namespace {

std::size_t ignore_body(char* /*data*/, std::size_t size, std::size_t count, void* /*user*/) {
  return size * count;
}

// "http://host:4318" -> "http://host:4318/v1/traces".
std::string traces_url(const std::string& endpoint) {
  const std::size_t host = endpoint.find("://") + 3;
  const std::size_t path = endpoint.find('/', host);
  if (path == std::string::npos) return endpoint + "/v1/traces";
  return path + 1 == endpoint.size() ? endpoint + "v1/traces" : endpoint;
}

}  // namespace

Result<std::unique_ptr<OtlpExporter>> OtlpExporter::start(const Options& options) {
  if (!options.endpoint.starts_with("http://") && !options.endpoint.starts_with("https://")) {
    return invalid_argument(
        fmt::format("otlp_endpoint: \"{}\" does not begin with http:// or https://", options.endpoint.substr(0, 80)));
  }
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK) return internal(fmt::format("libcurl: {}", curl_easy_strerror(ready)));
  std::unique_ptr<OtlpExporter> exporter(new OtlpExporter(options));
  exporter->thread_ = std::thread([raw = exporter.get()] { raw->run(); });
  return exporter;
}

OtlpExporter::OtlpExporter(const Options& options) : options_(options) {
  options_.endpoint = traces_url(options.endpoint);
}

OtlpExporter::~OtlpExporter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void OtlpExporter::add(std::shared_ptr<const RequestTrace> trace) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.size() >= options_.max_queued) {
      ++counts_.dropped;
      return;
    }
    queue_.push_back(std::move(trace));
    if (queue_.size() != 1 && queue_.size() != options_.max_batch) return;
  }
  wake_.notify_all();
}

void OtlpExporter::flush() {
  std::unique_lock<std::mutex> lock(mutex_);
  flushing_ = true;
  wake_.notify_all();
  idle_.wait(lock, [&] { return queue_.empty() && !sending_; });
  flushing_ = false;
}

OtlpExporter::Counts OtlpExporter::counts() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counts_;
}

void OtlpExporter::run() {
  bool failing = false;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    // A batch gathers, unless somebody waits for it.
    wake_.wait_for(lock, options_.batch_delay,
                   [&] { return stopping_ || flushing_ || queue_.size() >= options_.max_batch; });
    const std::size_t count = std::min(queue_.size(), options_.max_batch);
    std::vector<std::shared_ptr<const RequestTrace>> batch(queue_.begin(),
                                                           queue_.begin() + static_cast<std::ptrdiff_t>(count));
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
    sending_ = true;
    lock.unlock();
    const Status sent = post(otlp_json(batch));
    if (!sent.ok() && !failing && options_.warn) options_.warn(sent.message());
    failing = !sent.ok();
    lock.lock();
    sending_ = false;
    (sent.ok() ? counts_.sent : counts_.failed) += count;
    if (stopping_ && failing) {
      counts_.dropped += queue_.size();
      queue_.clear();
    }
    if (queue_.empty()) idle_.notify_all();
  }
}

Status OtlpExporter::post(const std::string& body) const {
  struct Free {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  const std::unique_ptr<CURL, Free> handle(curl_easy_init());
  const std::unique_ptr<curl_slist, Free> fields(curl_slist_append(nullptr, "Content-Type: application/json"));
  if (handle == nullptr || fields == nullptr) return internal("libcurl: out of memory");
  CURL* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, options_.endpoint.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields.get());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &ignore_body);
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return internal(fmt::format("{}: {}", options_.endpoint, curl_easy_strerror(code)));
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200 || status >= 300) {
    return internal(fmt::format("{}: the collector answered {}", options_.endpoint, status));
  }
  return {};
}

}  // namespace mlxr
