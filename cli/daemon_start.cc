// start_daemon() of daemon_client.h.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include <fmt/core.h>

#include "cli/daemon_client.h"
#include "cli/output.h"
#include "core/runtime/user_folders.h"

namespace mlxr::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartDeadline{30};
constexpr std::chrono::milliseconds kLook{20};
constexpr const char* kProgram = "mlxrunnerd";

fs::path own_program() {
#ifdef __APPLE__
  std::string buffer(4096, '\0');
  auto size = static_cast<std::uint32_t>(buffer.size());
  if (_NSGetExecutablePath(buffer.data(), &size) != 0) return {};
  return fs::path(buffer.c_str());
#else
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error);
#endif
}

bool is_program(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

std::string last_line(const std::string& path, std::uintmax_t from) {
  std::ifstream file(path);
  file.seekg(static_cast<std::streamoff>(from));
  std::string line, last;
  while (std::getline(file, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

// A file descriptor that is closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// In a session of its own, so that it outlives this terminal and its Ctrl-C.
Result<pid_t> spawn(const std::vector<std::string>& command, int log) {
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const pid_t child = ::fork();
  if (child < 0) return internal(fmt::format("no process can be made: {}", std::strerror(errno)));
  if (child > 0) return child;
  // Between fork and exec: only what is safe there.
  ::setsid();
  ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  std::signal(SIGINT, SIG_DFL);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

Status wait_until_listening(const DaemonAddress& address, pid_t child, const std::string& log, std::uintmax_t from) {
  const Clock::time_point deadline = Clock::now() + kStartDeadline;
  while (!daemon_listens(address)) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) {
      const std::string said = last_line(log, from);
      return internal(fmt::format("the daemon ended at once: {}", said.empty() ? "see " + log : printable(said)));
    }
    if (Clock::now() > deadline)
      return internal(fmt::format("the daemon does not listen on {} after {} s; see {}", address.text(),
                                  kStartDeadline.count(), log));
    std::this_thread::sleep_for(kLook);
  }
  return {};
}

std::string daemon_pid_path() {
  const auto folder = user_state_folder();
  return folder ? *folder + "/mlxrunnerd.pid" : std::string();
}

}  // namespace

std::vector<std::string> daemon_command() {
  const fs::path self = own_program();
  const fs::path beside = self.parent_path() / kProgram;
  if (is_program(beside)) return {beside.string()};
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? std::string_view() : std::string_view(path);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const fs::path candidate = fs::path(rest.substr(0, end)) / kProgram;
    if (end > 0 && is_program(candidate)) return {candidate.string()};
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {self.string(), "serve"};
}

std::string daemon_log_path() {
  const auto folder = user_state_folder();
  return folder ? *folder + "/mlxrunnerd.log" : std::string();
}

Status start_daemon(const DaemonAddress& address) {
  if (!address.local())
    return unsupported(fmt::format("{} is not answering, and is not started from here", address.url));
  const std::string log = daemon_log_path();
  if (log.empty()) return invalid_argument("no home folder in the environment: set HOME or XDG_STATE_HOME");
  std::error_code error;
  fs::create_directories(fs::path(log).parent_path(), error);
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  const Descriptor file(::open(log.c_str(), flags, S_IRUSR | S_IWUSR));
  if (file.get() < 0) return internal(fmt::format("{}: {}", log, std::strerror(errno)));
  // One of several starts it, the others find it running.
  const Descriptor lock(::open(daemon_pid_path().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (lock.get() >= 0) ::flock(lock.get(), LOCK_EX);
  if (daemon_listens(address)) return {};
  const std::uintmax_t from = fs::file_size(log, error);
  fmt::print(stderr, "mlxr: starting the daemon ({})\n", log);
  MLXR_ASSIGN_OR_RETURN(const pid_t child, spawn(daemon_command(), file.get()));
  const std::string pid = fmt::format("{}\n", child);
  const bool noted = lock.get() >= 0 && ::ftruncate(lock.get(), 0) == 0 &&
                     ::write(lock.get(), pid.data(), pid.size()) == static_cast<ssize_t>(pid.size());
  if (!noted) fmt::print(stderr, "mlxr: warning: {} could not be written\n", daemon_pid_path());
  return wait_until_listening(address, child, log, error ? 0 : from);
}

}  // namespace mlxr::cli
