#pragma once
// What `mlxr doctor` looks at. A check says what it found and, where something is wrong, what to do about it.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/daemon_client.h"

namespace mlxr::cli {

enum class Health : std::uint8_t { kOk, kWarning, kError };
const char* health_name(Health health);  // "ok", "warning", "error"

struct Finding {
  Health health = Health::kOk;
  std::string subject;  // "memory"
  std::string text;     // one line
  std::string advice;   // empty where all is well
};

// Processor, memory, huge pages, limits of this process.
std::vector<Finding> check_machine();
// Folders of this user: whether they can be written and are closed to others, and the room on their disks.
std::vector<Finding> check_folders(const std::string& models_folder);
// server.yaml and the environment.
Finding check_settings();
// Where models are kept: the setting, else the user's folder; empty when the environment names no home.
std::string models_folder();
// Whether the daemon listens, answers, and its models make progress.
std::vector<Finding> check_daemon();

struct StoreCheck {
  bool verify = false;  // reads every blob
  bool repair = false;
};
// Manifests, blobs and the database.
std::vector<Finding> check_store_of(const std::string& models_folder, const StoreCheck& options);

}  // namespace mlxr::cli
