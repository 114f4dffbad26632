#include "daemon/server/daemon_routes.h"

#include "daemon/server/native/native_json.h"
#include "daemon/server/native/native_routes.h"
#include "daemon/server/native/replay_routes.h"

namespace mlxr::server {

struct DaemonRoutes::State {
  explicit State(DaemonServices all) : services(std::move(all)) {}

  DaemonServices services;
};

DaemonRoutes::DaemonRoutes(DaemonServices services) : state_(std::make_unique<State>(std::move(services))) {}

DaemonRoutes::~DaemonRoutes() = default;

http::Router DaemonRoutes::router() const {
  http::Router router;
  router.set_errors("/",
                    [](int status, const std::string& message) { return native_error(http_error(status, message)); });
  register_health_routes(router, state_->services);
  register_model_routes(router, state_->services);
  register_request_routes(router, state_->services);
  register_key_routes(router, state_->services);
  // A replay goes to any route but itself.
  register_replay_routes(router, state_->services, std::make_shared<const http::Router>(router));
  return router;
}

}  // namespace mlxr::server
