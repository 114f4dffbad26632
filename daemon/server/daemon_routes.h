#pragma once
// DaemonRoutes: the table of all routes, and the dialects' services that their handlers stand on.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/http/router.h"
#include "daemon/http/server.h"

namespace mlxr {
class Authenticator;
class Catalog;
class Log;
class Metrics;
class ModelService;
class ResponseStore;
class SettingsFile;
class TraceStore;
class Transfers;
class UsageLedger;
}  // namespace mlxr

namespace mlxr::server {

class AccessGate;
class ModelCatalog;
class RecordingService;

// What routes stand on. All outlive the routes.
struct DaemonServices {
  std::string version;
  std::string catalog_folder;
  SettingsFile& settings;
  Log& log;
  Metrics& metrics;
  TraceStore& traces;
  Catalog& catalog;
  ModelCatalog& listed;
  Transfers& transfers;
  ResponseStore& responses;
  UsageLedger& usage;
  Authenticator& access;
  AccessGate& gate;
  ModelService& models;
  RecordingService& recording;  // the same
  std::function<std::vector<std::string>()> addresses;
  std::function<http::ServerCounts()> http_counts;
};

class DaemonRoutes {
 public:
  explicit DaemonRoutes(DaemonServices services);
  ~DaemonRoutes();
  DaemonRoutes(const DaemonRoutes&) = delete;
  DaemonRoutes& operator=(const DaemonRoutes&) = delete;

  // Every route. Its handlers refer to this object.
  http::Router router() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mlxr::server
