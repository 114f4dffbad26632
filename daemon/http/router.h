#pragma once
// The table of routes: from method and path to a handler.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/http/exchange.h"

namespace mlxr::http {

using Handler = std::function<void(std::shared_ptr<Exchange> exchange)>;
// The body that a dialect gives to errors which the server finds itself: no route, wrong method, too large, no key.
using ErrorShape = std::function<Response(int status, const std::string& message)>;

struct RouteOptions {
  std::size_t max_body_bytes = 0;  // 0: ServerOptions'
  bool body_to_file = false;       // the body goes to a file as it comes
  // The handler may wait for disks and other servers: it runs on a worker thread instead of the connection's.
  bool blocking = false;
  bool open = false;       // needs no key
  std::string scope = {};  // what a key must be allowed; empty: any key
  ErrorShape errors = {};  // empty: the router's
};

struct Route {
  Method method = Method::kGet;
  // Literal parts and {name} for one part; {name*} at the end takes the rest, slashes and all.
  std::string pattern;
  Handler handler;
  RouteOptions options = {};
};

class Router {
 public:
  // MLXR_CHECKs that no other route has the method and pattern.
  void add(Route route);
  // Errors of paths that begin with `prefix` and match no route, or not with this method. The longest prefix counts.
  void set_errors(std::string prefix, ErrorShape errors);
  // Puts what `wrap` makes of each route's handler in its place.
  void wrap_handlers(const std::function<Handler(const Route& route)>& wrap);

  struct Match {
    const Route* route = nullptr;  // nullptr: see allowed
    std::map<std::string, std::string> captures;
    std::vector<Method> allowed;  // methods of routes with this path; empty: no such path
  };
  // Literal parts win over {name}, {name} over {name*}. HEAD finds GET. `path` is not decoded yet; a part that decodes
  // to a slash stays one part.
  Match find(Method method, std::string_view path) const;
  // Without a prefix that fits: {"error": message}.
  Response error(std::string_view path, int status, const std::string& message) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  enum class PartKind : std::uint8_t { kLiteral, kName, kRest };
  struct Part {
    PartKind kind;
    std::string text;
  };
  static std::vector<Part> parse_pattern(std::string_view pattern);
  // Whether `parts` of a path fit; fills `captures`.
  static bool fits(const std::vector<Part>& pattern, const std::vector<std::string>& parts,
                   std::map<std::string, std::string>& captures);
  // Whether `a` is the better of two patterns that fit the same path.
  static bool more_literal(const std::vector<Part>& a, const std::vector<Part>& b);

  std::vector<Route> routes_;
  std::vector<std::vector<Part>> patterns_;  // one a route
  std::vector<std::pair<std::string, ErrorShape>> errors_;
};

}  // namespace mlxr::http
