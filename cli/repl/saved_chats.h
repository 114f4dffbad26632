#pragma once
// Conversations that people keep: one JSON file each, NAME.json with mode 0600, in the state folder. A name is letters,
// digits, '-', '_' and '.', and does not begin with '.'.

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/status.h"

namespace mlxr::cli {

struct SavedChat {
  std::string model = {};
  std::string system = {};
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
};

struct SavedChatEntry {
  std::string name;
  std::int64_t modified = 0;  // seconds since 1970
};

// ~/.local/state/mlxrunner/chats, or its place on this system; empty when there is no home.
std::string saved_chats_folder();

// Replaces one of that name. kInvalidArgument for a bad name.
Status save_chat(const std::string& folder, const std::string& name, const SavedChat& chat);
// kNotFound; kCorrupt for a file that does not hold a conversation.
Result<SavedChat> load_chat(const std::string& folder, const std::string& name);
// Newest first.
std::vector<SavedChatEntry> list_chats(const std::string& folder);

}  // namespace mlxr::cli
