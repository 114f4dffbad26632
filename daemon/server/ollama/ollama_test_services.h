#pragma once
// What the Ollama routes stand on, as tests want it to be.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/registry/create.h"
#include "daemon/registry/transfer/transfers.h"
#include "daemon/server/ollama/model_store.h"

namespace mlxr::server {

class ScriptedStore : public ModelStore {
 public:
  Result<ModelRecord> resolve(const std::string& name) override {
    if (const auto found = records.find(name); found != records.end()) return found->second;
    return not_found("model \"" + name + "\" not found");
  }
  Result<std::vector<ModelSummary>> list() override { return summaries; }
  Status copy(const std::string& source, const std::string& destination) override {
    MLXR_ASSIGN_OR_RETURN(records[destination], resolve(source));
    return {};
  }
  Status remove(const std::string& name) override {
    MLXR_ASSIGN_OR_RETURN(const ModelRecord record, resolve(name));
    records.erase(name);
    return {};
  }
  std::string modelfile(const ModelRecord& model) override { return "FROM " + model.path + "\n"; }
  Status create(const CreateRequest& request, const ProgressSink& progress) override {
    created.push_back(request);
    for (const RegistryProgress& step : create_steps)
      progress(step);
    return create_status;
  }
  bool has_blob(const std::string& digest) override { return blobs.count(digest) > 0; }
  Status add_blob(const std::string& file, const std::string& digest) override {
    if (!add_status.ok()) return add_status;
    blobs[digest] = file;
    return {};
  }

  std::map<std::string, ModelRecord> records;
  std::vector<ModelSummary> summaries;
  std::vector<CreateRequest> created;
  std::vector<RegistryProgress> create_steps;
  Status create_status;
  std::map<std::string, std::string> blobs;
  Status add_status;
};

class ScriptedTransfer : public Transfer {
 public:
  explicit ScriptedTransfer(bool& alive) : alive_(alive) { alive_ = true; }
  ~ScriptedTransfer() override { alive_ = false; }
  void cancel() override {}
  bool done() const override { return is_done; }
  Status wait() override { return status; }

  bool is_done = false;
  Status status;

 private:
  bool& alive_;
};

class ScriptedTransfers : public Transfers {
 public:
  std::shared_ptr<Transfer> pull(const std::string& name, const TransferOptions& options,
                                 TransferSink transfer_sink) override {
    names.push_back((options.insecure ? "insecure " : "") + name);
    sink = std::move(transfer_sink);
    auto transfer = std::make_shared<ScriptedTransfer>(alive);
    last = transfer;
    return transfer;
  }
  std::shared_ptr<Transfer> push(const std::string& name, const TransferOptions& options,
                                 TransferSink transfer_sink) override {
    return pull("push " + name, options, std::move(transfer_sink));
  }
  bool is_active() const override { return alive; }

  bool alive = false;
  std::vector<std::string> names;
  TransferSink sink;
  std::weak_ptr<ScriptedTransfer> last;
};

}  // namespace mlxr::server
