#pragma once
// libcurl's handles with owners, set up the same for every request. For .cc files of this folder only.

#include <curl/curl.h>

#include <memory>
#include <string>

#include "daemon/registry/transfer/http_client.h"

namespace mlxr {

struct CurlEasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct CurlMultiDeleter {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct CurlListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using CurlEasy = std::unique_ptr<CURL, CurlEasyDeleter>;
using CurlMulti = std::unique_ptr<CURLM, CurlMultiDeleter>;
using CurlList = std::unique_ptr<curl_slist, CurlListDeleter>;

// What a running request needs to stay alive beside its handle.
struct CurlRequest {
  CurlEasy easy;
  CurlList headers;
  std::string error = std::string(CURL_ERROR_SIZE, '\0');
  HttpHeaders reply_headers = {};  // of the last status line seen

  int status() const;
  std::string reason(CURLcode code) const;  // of a failure, one line
};

CurlMulti make_curl_multi();
// Address, headers, protocols, timeouts, certificates, and the collection of reply headers. Never null.
std::unique_ptr<CurlRequest> make_curl_request(const HttpSettings& settings, const std::string& url,
                                               const HttpHeaders& headers);
// Whether the failure may go away by itself.
bool is_passing_failure(CURLcode code);

}  // namespace mlxr
