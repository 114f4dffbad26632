#pragma once
// InnerExchange: a request that the daemon makes to one of its own routes, and its answer as a value. Nothing goes over
// a wire.

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "daemon/http/exchange.h"
#include "daemon/http/router.h"

namespace mlxr::server {

// Runs the route's handler and what it posts on this thread until the answer is complete. `request.caller` says on
// whose behalf. 404 and 405 as the router would answer them.
http::Response call_route(const http::Router& router, http::Request request);

}  // namespace mlxr::server
