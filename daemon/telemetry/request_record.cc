#include "daemon/telemetry/request_record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace mlxr {
namespace {

using Json = nlohmann::ordered_json;

// Reads members of an object; the first that is not as it should be is remembered.
class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  template <class T>
  void read(const char* name, T& value) {
    if (!error_.ok()) return;
    const auto found = object_.find(name);
    if (found == object_.end()) return;  // what a later version adds may be missing in an older file
    if (!assign(*found, value)) error_ = corrupt(fmt::format("{}{}: is not of its type", where_, name));
  }
  const Status& error() const { return error_; }

 private:
  static bool assign(const Json& json, std::string& value) {
    if (!json.is_string()) return false;
    value = json.get<std::string>();
    return true;
  }
  static bool assign(const Json& json, double& value) {
    if (!json.is_number()) return false;
    value = json.get<double>();
    return true;
  }
  static bool assign(const Json& json, std::int64_t& value) {
    if (!json.is_number_integer()) return false;
    value = json.get<std::int64_t>();
    return true;
  }
  static bool assign(const Json& json, std::uint64_t& value) {
    if (!json.is_number_unsigned()) return false;
    value = json.get<std::uint64_t>();
    return true;
  }
  static bool assign(const Json& json, std::vector<std::int32_t>& value) {
    if (!json.is_array()) return false;
    std::vector<std::int32_t> ids;
    ids.reserve(json.size());
    for (const Json& item : json) {
      std::int64_t id = 0;
      if (!assign(item, id) || id < std::numeric_limits<std::int32_t>::min() ||
          id > std::numeric_limits<std::int32_t>::max())
        return false;
      ids.push_back(static_cast<std::int32_t>(id));
    }
    value = std::move(ids);
    return true;
  }

  const Json& object_;
  std::string where_;
  Status error_;
};

}  // namespace

std::string record_line(const RequestRecord& record) {
  Json choices = Json::array();
  for (const RequestRecord::Choice& choice : record.choices) {
    choices.push_back({{"seed", choice.seed},
                       {"finish_reason", choice.finish_reason},
                       {"tokens", choice.tokens},
                       {"text", choice.text}});
  }
  const Json json = {{"id", record.id},
                     {"unix_ms", record.unix_ms},
                     {"dialect", record.dialect},
                     {"route", record.route},
                     {"body", record.body},
                     {"model", record.model},
                     {"model_digest", record.model_digest},
                     {"version", record.version},
                     {"result", record.result},
                     {"prompt_tokens", record.prompt_tokens},
                     {"cached_tokens", record.cached_tokens},
                     {"choices", std::move(choices)},
                     {"queue_ms", record.queue_ms},
                     {"first_token_ms", record.first_token_ms},
                     {"total_ms", record.total_ms}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<RequestRecord> parse_record(std::string_view line) {
  if (line.size() > kMaxRecordBytes) return corrupt(fmt::format("is longer than {} bytes", kMaxRecordBytes));
  // Depth is bounded by hand: the parser keeps a stack of its own, but the destructor of a deep value recurses.
  std::size_t depth = 0;
  const Json json = Json::parse(
      line.begin(), line.end(),
      [&](int level, Json::parse_event_t /*event*/, Json& /*value*/) {
        depth = std::max(depth, static_cast<std::size_t>(level));
        return level <= 8;
      },
      false);
  if (json.is_discarded() || !json.is_object()) return corrupt("is not a JSON object");
  if (depth > 8) return corrupt("is nested too deep");
  RequestRecord record;
  Reader reader(json, "");
  reader.read("id", record.id);
  reader.read("unix_ms", record.unix_ms);
  reader.read("dialect", record.dialect);
  reader.read("route", record.route);
  reader.read("body", record.body);
  reader.read("model", record.model);
  reader.read("model_digest", record.model_digest);
  reader.read("version", record.version);
  reader.read("result", record.result);
  reader.read("prompt_tokens", record.prompt_tokens);
  reader.read("cached_tokens", record.cached_tokens);
  reader.read("queue_ms", record.queue_ms);
  reader.read("first_token_ms", record.first_token_ms);
  reader.read("total_ms", record.total_ms);
  MLXR_RETURN_IF_ERROR(reader.error());
  if (record.route.empty()) return corrupt("route: is missing");
  const auto choices = json.find("choices");
  if (choices == json.end()) return record;
  if (!choices->is_array()) return corrupt("choices: is not of its type");
  for (std::size_t i = 0; i < choices->size(); ++i) {
    const Json& item = (*choices)[i];
    const std::string where = fmt::format("choices[{}].", i);
    if (!item.is_object()) return corrupt(fmt::format("choices[{}]: is not of its type", i));
    RequestRecord::Choice choice;
    Reader fields(item, where);
    fields.read("seed", choice.seed);
    fields.read("finish_reason", choice.finish_reason);
    fields.read("tokens", choice.tokens);
    fields.read("text", choice.text);
    MLXR_RETURN_IF_ERROR(fields.error());
    record.choices.push_back(std::move(choice));
  }
  return record;
}

Result<std::unique_ptr<RequestRecorder>> RequestRecorder::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return internal(fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
  return std::unique_ptr<RequestRecorder>(new RequestRecorder(path, fd));
}

RequestRecorder::~RequestRecorder() {
  ::close(fd_);
}

Status RequestRecorder::write(const RequestRecord& record) {
  const std::string line = record_line(record) + "\n";
  const std::lock_guard<std::mutex> lock(mutex_);
  struct stat info {};
  const bool sized = ::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      if (sized && rest.size() != line.size() && ::ftruncate(fd_, info.st_size) != 0) {
        return internal(fmt::format("{}: cannot take a cut line back: {}", path_, std::strerror(errno)));
      }
      const std::string message = fmt::format("{}: cannot write: {}", path_, std::strerror(error));
      return error == ENOSPC || error == EFBIG ? resource_exhausted(message) : internal(message);
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::vector<RequestRecord>> read_records(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found(fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
  std::vector<RequestRecord> records;
  std::streambuf& bytes = *in.rdbuf();
  std::string line;
  int number = 1;
  // std::getline knows no limit.
  for (int c = bytes.sbumpc();; c = bytes.sbumpc()) {
    const bool end = c == std::char_traits<char>::eof();
    if (!end && c != '\n') {
      if (line.size() > kMaxRecordBytes) return corrupt(fmt::format("{}:{}: is too long a line", path, number));
      line += static_cast<char>(c);
      continue;
    }
    if (!line.empty()) {
      Result<RequestRecord> record = parse_record(line);
      if (!record.ok()) return record.status().with_context(fmt::format("{}:{}", path, number));
      records.push_back(std::move(*record));
    }
    if (end) return records;
    line.clear();
    ++number;
  }
}

}  // namespace mlxr
