#pragma once
// A JSON object a line over an exchange. The head is sent with the first line, so that an error that comes before keeps
// its HTTP status.

#include "daemon/http/exchange.h"
#include "daemon/server/json.h"

namespace mlxr::server {

// One thread at a time.
class NdjsonStream {
 public:
  // Of the head, as long as it is not sent.
  http::Fields& fields() { return fields_; }
  bool began() const { return began_; }
  void line(http::Exchange& exchange, const Json& value);

 private:
  http::Fields fields_;
  bool began_ = false;
};

}  // namespace mlxr::server
