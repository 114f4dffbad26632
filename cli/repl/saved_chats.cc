#include "cli/repl/saved_chats.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/core.h>

#include "core/base/atomic_file.h"
#include "core/io/json_file.h"
#include "core/runtime/user_folders.h"

namespace mlxr::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxNameBytes = 100;

Status check_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (!name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' &&
      name.find_first_not_of(kAllowed) == std::string_view::npos) {
    return {};
  }
  return invalid_argument(fmt::format("\"{}\" is no name: letters, digits, '-', '_' and '.'", name));
}

bool is_message(const Json& message) {
  const auto is_text = [&message](const char* key) {
    const auto found = message.find(key);
    return found != message.end() && found->is_string();
  };
  return message.is_object() && is_text("role") && is_text("content");
}

}  // namespace

std::string saved_chats_folder() {
  const auto folder = user_state_folder();
  return folder ? *folder + "/chats" : std::string();
}

Status save_chat(const std::string& folder, const std::string& name, const SavedChat& chat) {
  MLXR_RETURN_IF_ERROR(check_name(name));
  if (folder.empty()) return invalid_argument("no home folder in the environment: set HOME or XDG_STATE_HOME");
  std::error_code error;
  fs::create_directories(folder, error);
  ::chmod(folder.c_str(), S_IRWXU);
  const Json json = {{"model", chat.model}, {"system", chat.system}, {"messages", chat.messages}};
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  const std::string path = (fs::path(folder) / (name + ".json")).string();
  MLXR_RETURN_IF_ERROR(write_file_atomically(path, text));
  ::chmod(path.c_str(), S_IRUSR | S_IWUSR);  // the folder is closed to others anyway
  return {};
}

Result<SavedChat> load_chat(const std::string& folder, const std::string& name) {
  MLXR_RETURN_IF_ERROR(check_name(name));
  const std::string path = (fs::path(folder) / (name + ".json")).string();
  std::error_code error;
  if (!fs::exists(path, error)) return not_found(fmt::format("no conversation \"{}\" was saved", name));
  MLXR_ASSIGN_OR_RETURN(const std::string text, read_text_file(path));
  MLXR_RETURN_IF_ERROR(parse_json(text, path).status());
  const Json json = Json::parse(text, nullptr, false);
  SavedChat chat;
  chat.messages = Json();
  if (json.is_object()) {
    const auto text_of = [&json](const char* key) {
      const auto found = json.find(key);
      return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    chat.model = text_of("model");
    chat.system = text_of("system");
    chat.messages = json.value("messages", Json());
  }
  if (!chat.messages.is_array() || !std::ranges::all_of(chat.messages, is_message))
    return corrupt(fmt::format("{}: holds no conversation", path));
  return chat;
}

std::vector<SavedChatEntry> list_chats(const std::string& folder) {
  std::vector<SavedChatEntry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    struct stat info {};
    if (it->path().extension() != ".json" || ::stat(it->path().c_str(), &info) != 0) continue;
    entries.push_back({it->path().stem().string(), static_cast<std::int64_t>(info.st_mtime)});
  }
  std::ranges::sort(entries, [](const SavedChatEntry& a, const SavedChatEntry& b) {
    return std::pair(-a.modified, a.name) < std::pair(-b.modified, b.name);
  });
  return entries;
}

}  // namespace mlxr::cli
