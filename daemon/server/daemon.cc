#include "daemon/server/daemon.h"

#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include <fmt/core.h>

#include "core/runtime/user_folders.h"
#include "daemon/access/access.h"
#include "daemon/access/registry_key_store.h"
#include "daemon/access/secret_file.h"
#include "daemon/http/server.h"
#include "daemon/registry/catalog.h"
#include "daemon/registry/database.h"
#include "daemon/registry/key_table.h"
#include "daemon/registry/response_store.h"
#include "daemon/registry/transfer/transfers.h"
#include "daemon/registry/usage_ledger.h"
#include "daemon/server/access_gate.h"
#include "daemon/server/daemon_routes.h"
#include "daemon/server/model_resolver.h"
#include "daemon/server/recording_service.h"
#include "daemon/server/registry_catalog.h"
#include "daemon/server/request_ledger.h"
#include "daemon/server/service_settings.h"
#include "daemon/telemetry/log.h"
#include "daemon/telemetry/metrics.h"
#include "daemon/telemetry/otlp_export.h"
#include "daemon/telemetry/request_record.h"
#include "daemon/telemetry/trace.h"

namespace mlxr::server {
namespace {

namespace fs = std::filesystem;

// A setting that names a folder or file, or its default place.
Result<std::string> place(const std::string& chosen, const std::optional<std::string>& folder, const char* name,
                          const char* setting) {
  if (!chosen.empty()) return chosen;
  if (!folder)
    return invalid_argument(fmt::format("no home folder in the environment: set {} to say where it belongs", setting));
  return (fs::path(*folder) / name).string();
}

Status make_private_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return internal(fmt::format("{}: cannot make this folder: {}", folder.string(), error.message()));
  return {};
}

Log::Options log_options(const Settings& settings) {
  Log::Options options;
  const Result<LogLevel> level = parse_log_level(settings.log_level);
  if (level.ok()) options.level = *level;
  const Result<LogFormat> format = parse_log_format(settings.log_format);
  if (format.ok()) options.format = *format;
  options.file = settings.log_file;
  options.prompts = settings.log_prompts;
  return options;
}

}  // namespace

// Members are destroyed from the last to the first: the server goes before what its routes stand on.
class Daemon::Parts {
 public:
  Status open(DaemonOptions options);
  Status reload();
  void stop();
  std::vector<std::string> addresses() const { return server_->addresses(); }

 private:
  Status open_telemetry();
  Status open_registry();
  Status open_access();
  Status open_service();
  Status open_server();
  Result<std::vector<http::Listener>> listeners() const;
  void preload();
  void write_record(const http::Request& request);
  DaemonServices services();

  std::string version_;
  std::unique_ptr<SettingsFile> settings_file_;
  std::unique_ptr<Log> log_;
  Metrics metrics_;
  std::unique_ptr<OtlpExporter> exporter_;
  std::unique_ptr<TraceStore> traces_;

  std::unique_ptr<Database> database_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<RegistryCatalog> listed_;
  std::unique_ptr<Transfers> transfers_;
  std::unique_ptr<ResponseStore> responses_;
  std::unique_ptr<KeyTable> keys_;
  std::unique_ptr<UsageLedger> usage_;
  std::unique_ptr<RegistryKeyStore> key_store_;

  std::unique_ptr<Authenticator> access_;
  std::unique_ptr<AccessGate> gate_;
  std::unique_ptr<RequestLedger> ledger_;
  std::shared_ptr<const ModelSettingsFolder> model_settings_;
  std::unique_ptr<RequestRecorder> recorder_;
  std::unique_ptr<RecordingService> models_;
  std::unique_ptr<DaemonRoutes> routes_;
  std::unique_ptr<http::Server> server_;
};

Status Daemon::Parts::open(DaemonOptions options) {
  version_ = std::move(options.version);
  MLXR_ASSIGN_OR_RETURN(settings_file_, SettingsFile::load(std::move(options.settings)));
  MLXR_RETURN_IF_ERROR(open_telemetry());
  MLXR_RETURN_IF_ERROR(open_registry());
  MLXR_RETURN_IF_ERROR(open_access());
  MLXR_RETURN_IF_ERROR(open_service());
  MLXR_RETURN_IF_ERROR(open_server());
  preload();
  return {};
}

Status Daemon::Parts::open_telemetry() {
  const auto settings = settings_file_->settings();
  MLXR_ASSIGN_OR_RETURN(log_, Log::open(log_options(*settings)));
  if (!settings->otlp_endpoint.empty()) {
    OtlpExporter::Options options;
    options.endpoint = settings->otlp_endpoint;
    options.warn = [log = log_.get()](const std::string& line) { log->warn("traces.not_sent", {{"error", line}}); };
    MLXR_ASSIGN_OR_RETURN(exporter_, OtlpExporter::start(options));
  }
  traces_ = std::make_unique<TraceStore>(static_cast<std::size_t>(settings->trace_keep),
                                         [this](std::shared_ptr<const RequestTrace> trace) {
                                           if (exporter_) exporter_->add(std::move(trace));
                                         });
  metrics_.build_info.with({version_}).set(1);
  metrics_.start_time.with({}).set(
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
  return {};
}

Status Daemon::Parts::open_registry() {
  const auto settings = settings_file_->settings();
  MLXR_ASSIGN_OR_RETURN(const std::string models,
                        place(settings->models_folder, user_data_folder(), "models", "models_folder"));
  // The database stands beside the models that it describes: stores in different folders do not mix.
  MLXR_RETURN_IF_ERROR(make_private_folder(models));
  MLXR_ASSIGN_OR_RETURN(database_, Database::open((fs::path(models) / "registry.db").string()));
  CatalogOptions options;
  options.models_folder = models;
  MLXR_ASSIGN_OR_RETURN(catalog_, Catalog::open(*database_, options));
  listed_ = std::make_unique<RegistryCatalog>(*catalog_);
  responses_ = std::make_unique<ResponseStore>(*database_);
  keys_ = std::make_unique<KeyTable>(*database_);
  usage_ = std::make_unique<UsageLedger>(*database_);
  key_store_ = std::make_unique<RegistryKeyStore>(*keys_, *usage_);

  TransferSettings transfer = settings_from_environment(models);
  if (!settings->registry_endpoint.empty()) transfer.registry_url = settings->registry_endpoint;
  if (!settings->hf_endpoint.empty()) transfer.hub_url = settings->hf_endpoint;
  transfer.max_transfer_streams = static_cast<int>(settings->max_transfer_streams);
  MLXR_ASSIGN_OR_RETURN(transfers_, Transfers::create(std::move(transfer)));
  return {};
}

Status Daemon::Parts::open_access() {
  const auto settings = settings_file_->settings();
  const std::optional<std::string> folder = user_config_folder();
  if (!folder) return invalid_argument("no home folder in the environment: set HOME or XDG_CONFIG_HOME");
  Authenticator::Options options;
  options.local_requires_key = settings->uds_requires_key;
  options.tcp_requires_key = settings->http_requires_key;
  MLXR_ASSIGN_OR_RETURN(options.capability_token, open_capability_token(*folder));
  MLXR_ASSIGN_OR_RETURN(options.server_secret, open_server_secret(*folder));
  MLXR_ASSIGN_OR_RETURN(access_, Authenticator::open(*key_store_, std::move(options)));
  gate_ = std::make_unique<AccessGate>(*access_, metrics_);
  ledger_ = std::make_unique<RequestLedger>(RequestLedger::Parts{metrics_, *traces_, *log_, *access_, *gate_});
  return {};
}

Status Daemon::Parts::open_service() {
  const auto settings = settings_file_->settings();
  MLXR_ASSIGN_OR_RETURN(const std::string folder, place(settings->model_settings_folder, user_config_folder(), "models",
                                                        "model_settings_folder"));
  MLXR_ASSIGN_OR_RETURN(ModelSettingsFolder loaded, ModelSettingsFolder::load(folder));
  model_settings_ = std::make_shared<const ModelSettingsFolder>(std::move(loaded));
  MLXR_ASSIGN_OR_RETURN(ServiceDependencies dependencies, service_dependencies(*settings, *catalog_));
  dependencies.scheduler.caller_weights.merge(access_->weights());
  dependencies.engine.warn = [log = log_.get()](const std::string& line) { log->warn("engine", {{"message", line}}); };
  dependencies.resolve = make_model_resolver(*catalog_, model_settings_,
                                             [file = settings_file_.get()] { return file->settings()->default_model; });
  dependencies.observer = ledger_->observer();
  if (!settings->record_file.empty()) {
    MLXR_ASSIGN_OR_RETURN(recorder_, RequestRecorder::open(settings->record_file));
  }
  models_ = std::make_unique<RecordingService>(make_model_service(std::move(dependencies)), recorder_ != nullptr);
  return {};
}

Result<std::vector<http::Listener>> Daemon::Parts::listeners() const {
  const auto settings = settings_file_->settings();
  std::vector<http::Listener> out(1);
  MLXR_ASSIGN_OR_RETURN(out[0].unix_path,
                        place(settings->uds_path, user_runtime_folder(), "mlxrunner.sock", "uds_path"));
  MLXR_RETURN_IF_ERROR(make_private_folder(fs::path(out[0].unix_path).parent_path()));
  MLXR_ASSIGN_OR_RETURN(const std::optional<ListenAddress> tcp, parse_listen_address(settings->http));
  if (tcp) {
    http::Listener& listener = out.emplace_back();
    listener.host = tcp->host;
    listener.port = tcp->port;
    listener.tls_certificate = settings->tls_certificate;
    listener.tls_key = settings->tls_key;
  }
  return out;
}

DaemonServices Daemon::Parts::services() {
  return DaemonServices{
      .version = version_,
      .catalog_folder = catalog_->models_folder(),
      .settings = *settings_file_,
      .log = *log_,
      .metrics = metrics_,
      .traces = *traces_,
      .catalog = *catalog_,
      .listed = *listed_,
      .transfers = *transfers_,
      .responses = *responses_,
      .usage = *usage_,
      .access = *access_,
      .gate = *gate_,
      .models = *models_,
      .recording = *models_,
      .addresses = [this] { return server_ == nullptr ? std::vector<std::string>{} : server_->addresses(); },
      .http_counts = [this] { return server_ == nullptr ? http::ServerCounts{} : server_->counts(); },
  };
}

Status Daemon::Parts::open_server() {
  const auto settings = settings_file_->settings();
  routes_ = std::make_unique<DaemonRoutes>(services());
  http::Router router = routes_->router();
  if (recorder_ != nullptr) {
    router.wrap_handlers([this](const http::Route& route) -> http::Handler {
      if (route.method != http::Method::kPost || route.options.body_to_file) return route.handler;
      return [this, handle = route.handler](std::shared_ptr<http::Exchange> exchange) {
        const http::Request& request = exchange->request();
        models_->note_request(request.id, request.path, request.body);
        handle(std::move(exchange));
      };
    });
  }
  gate_->set_shape([shapes = router](std::string_view path, int status, const std::string& message) {
    return shapes.error(path, status, message);
  });
  http::ServerOptions options;
  MLXR_ASSIGN_OR_RETURN(options.listeners, listeners());
  options.num_threads = static_cast<int>(settings->http_threads);
  options.num_workers = static_cast<int>(settings->http_workers);
  options.max_body_bytes = settings->max_request_bytes;
  options.max_connections = static_cast<std::size_t>(settings->max_connections);
  options.head_timeout = settings->head_timeout;
  options.body_timeout = settings->body_timeout;
  options.idle_timeout = settings->idle_timeout;
  options.write_timeout = settings->write_timeout;
  options.upload_folder = catalog_->models_folder();
  options.allowed_hosts = settings->allowed_hosts;
  options.allowed_origins = settings->allowed_origins;
  options.authorize = [this](http::Request& request, const http::Route& route) {
    ledger_->arrived(request, route);
    return gate_->authorize(request, route);
  };
  options.on_finished = [this](const http::ServerOptions::Record& record) {
    ledger_->left(record);
    if (recorder_ != nullptr) write_record(record.request);
  };
  MLXR_ASSIGN_OR_RETURN(server_, http::Server::start(std::move(router), std::move(options)));
  for (const std::string& address : server_->addresses())
    log_->info("server.listening", {{"address", address}, {"version", version_}});
  return {};
}

void Daemon::Parts::write_record(const http::Request& request) {
  std::optional<RequestRecord> record = models_->take(request.id);
  if (!record) return;
  record->version = version_;
  const Status written = recorder_->write(*record);
  if (!written.ok()) log_->error("record.lost", {{"id", request.id}, {"error", written}});
}

void Daemon::Parts::preload() {
  for (const std::string& name : settings_file_->settings()->preload) {
    CallOptions call;
    call.request_id = "preload-" + name;
    call.model = name;
    call.dialect = "settings";
    call.keep_alive = kForever;
    models_->load(std::move(call));  // told in the log when it fails
  }
}

Status Daemon::Parts::reload() {
  Result<SettingsReload> reloaded = settings_file_->reload();
  if (!reloaded.ok()) {
    log_->error("settings.rejected", {{"error", reloaded.status()}});
    return reloaded.status();
  }
  const auto settings = settings_file_->settings();
  MLXR_RETURN_IF_ERROR(log_->reopen(log_options(*settings)));
  traces_->set_keep(static_cast<std::size_t>(settings->trace_keep));
  access_->set_requirements(settings->uds_requires_key, settings->http_requires_key);
  for (const std::string& name : reloaded->applied)
    log_->info("settings.changed", {{"setting", name}, {"value", setting_text(*settings, name)}});
  for (const std::string& name : reloaded->needs_restart)
    log_->warn("settings.needs_restart", {{"setting", name}});
  return {};
}

void Daemon::Parts::stop() {
  if (server_ == nullptr) return;
  log_->info("server.stopping");
  server_->stop(std::chrono::steady_clock::now() + settings_file_->settings()->shutdown_timeout);
  server_.reset();
  models_.reset();
  log_->info("server.stopped");
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Daemon::~Daemon() {
  stop();
}

Result<std::unique_ptr<Daemon>> Daemon::start(DaemonOptions options) {
  auto parts = std::make_unique<Parts>();
  MLXR_RETURN_IF_ERROR(parts->open(std::move(options)));
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

std::vector<std::string> Daemon::addresses() const {
  return parts_->addresses();
}

Status Daemon::reload() {
  return parts_->reload();
}

void Daemon::stop() {
  parts_->stop();
}

}  // namespace mlxr::server
