#include "daemon/settings/settings_file.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::read_file;
using test::write_file;

TEST(SettingsFile, FlagsOverEnvironmentOverFile) {
  const test::TempDir folder;
  const std::string path = folder.path("server.yaml");
  write_file(path,
             "# mine\nhttp_threads: 3\nhttp_workers: 3\nkeep_alive: 10m\nallowed_hosts:\n  - a\n  - b\n"
             "fair_weights: {x: 2}\nhttp: off\n");
  SettingsInputs inputs;
  inputs.path = path;
  inputs.environment = {{"MLXR_HTTP_THREADS", "5"}, {"MLXR_HTTP_WORKERS", "5"}, {"MLXR_OTHER", "x"}, {"PATH", "/"}};
  inputs.flags = {{"http_workers", "7"}};
  const auto file = SettingsFile::load(inputs);
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto settings = (*file)->settings();
  EXPECT_EQ(settings->http_threads, 5);
  EXPECT_EQ(settings->http_workers, 7);
  EXPECT_EQ(settings->keep_alive, std::chrono::minutes(10));
  EXPECT_EQ(settings->allowed_hosts, (TextList{"a", "b"}));
  EXPECT_EQ(settings->fair_weights, (Weights{{"x", 2.0}}));
  EXPECT_EQ(settings->http, "off");

  const auto list = (*file)->list();
  EXPECT_EQ(list.size(), setting_infos().size());
  const auto get = [&](const char* name) { return (*file)->get(name).value(); };
  EXPECT_EQ(get("http_workers").where, "--http-workers");
  EXPECT_EQ(get("http_workers").source, SettingSource::kFlag);
  EXPECT_EQ(get("http_threads").where, "MLXR_HTTP_THREADS");
  EXPECT_EQ(get("keep_alive").where, path + ":4");
  EXPECT_EQ(get("keep_alive").value, "10m");
  EXPECT_EQ(get("keep_alive").default_value, "5m");
  EXPECT_EQ(get("backend").source, SettingSource::kDefault);
  EXPECT_EQ((*file)->get("bakend").status().message(), "there is no setting \"bakend\"; did you mean \"backend\"?");
}

TEST(SettingsFile, MissingFileIsDefaultsUnlessNamed) {
  const test::TempDir folder;
  SettingsInputs inputs;
  inputs.path = folder.path("no/server.yaml");
  EXPECT_TRUE(SettingsFile::load(inputs).ok());
  inputs.path_required = true;
  EXPECT_EQ(SettingsFile::load(inputs).status().code(), StatusCode::kNotFound);
}

TEST(SettingsFile, ErrorsSayWhere) {
  const test::TempDir folder;
  const std::string path = folder.path("server.yaml");
  struct Case {
    const char* text;
    const char* error;  // after the path
  };
  const Case cases[] = {
      {"http: off\nhttp_treads: 3\n", ":2: there is no setting \"http_treads\"; did you mean \"http_threads\"?"},
      {"http_threads: many\n", ":1: http_threads: \"many\" is not a whole number"},
      {"http_threads: [1]\n", ":1: http_threads: is a list, not whole number"},
      {"http_threads: {a: 1}\n", ":1: http_threads: is a mapping, not whole number"},
      {"http_threads:\n", ":1: http_threads: \"\" is not a whole number"},
      {"preload: [a, [b]]\n", ":1: an item of a list must be a text or a number"},
      {"preload: [\"a,b\"]\n", ":1: an item of a list may not hold a comma"},
      {"- a\n", ":1: is not a mapping of keys to values"},
      {"tls_key: a\n", ": tls_key needs tls_certificate, the file of its certificate"},
  };
  SettingsInputs inputs;
  inputs.path = path;
  for (const Case& c : cases) {
    write_file(path, c.text);
    EXPECT_EQ(SettingsFile::load(inputs).status().message(), path + c.error);
  }
  write_file(path, "");
  inputs.environment = {{"MLXR_HTTP_THREADS", "x"}};
  EXPECT_EQ(SettingsFile::load(inputs).status().message(),
            "environment variable MLXR_HTTP_THREADS: http_threads: \"x\" is not a whole number");
  inputs.environment = {};
  inputs.flags = {{"http_threads", "x"}};
  EXPECT_EQ(SettingsFile::load(inputs).status().message(), "--http-threads: http_threads: \"x\" is not a whole number");
  inputs.flags = {};
  inputs.path = folder.path();
  EXPECT_EQ(SettingsFile::load(inputs).status().message(), folder.path() + ": is not a file");
}

TEST(SettingsFile, ReloadAppliesWhatItCan) {
  const test::TempDir folder;
  const std::string path = folder.path("server.yaml");
  write_file(path, "log_level: info\nhttp_threads: 2\n");
  SettingsInputs inputs;
  inputs.path = path;
  const auto file = SettingsFile::load(inputs);
  ASSERT_TRUE(file.ok());
  const auto before = (*file)->settings();

  write_file(path, "log_level: debug\nhttp_threads: 8\ndefault_model: m\n");
  const auto changes = (*file)->reload();
  ASSERT_TRUE(changes.ok()) << changes.status().message();
  EXPECT_EQ(changes->applied, (std::vector<std::string>{"default_model", "log_level"}));
  EXPECT_EQ(changes->needs_restart, std::vector<std::string>{"http_threads"});
  EXPECT_EQ((*file)->settings()->log_level, "debug");
  EXPECT_EQ((*file)->settings()->http_threads, 2);
  EXPECT_EQ((*file)->get("http_threads")->value, "8");
  EXPECT_EQ(before->log_level, "info");

  write_file(path, "log_level: loud\n");
  EXPECT_FALSE((*file)->reload().ok());
  EXPECT_EQ((*file)->settings()->log_level, "debug");
  EXPECT_EQ((*file)->get("log_level")->value, "debug");
}

// --- edits ----------------------------------------------------------------------------------------------------------

struct EditCase {
  const char* before;
  const char* name;
  const char* value;  // nullptr: take it out
  const char* after;
};

TEST(WriteSetting, ChangesItsOwnLinesOnly) {
  const EditCase cases[] = {
      {"", "http_threads", "4", "http_threads: 4\n"},
      {"# top\n\nhttp: off # why\n# about threads\nhttp_threads: 2\n", "http", "on",
       "# top\n\nhttp: on # why\n# about threads\nhttp_threads: 2\n"},
      {"http: \"off # x\"\n", "http", "on", "http: on\n"},
      {"http: 'off'   # x # y\nlog_level: info\n", "http", "[::1]:80",
       "http: \"[::1]:80\"   # x # y\nlog_level: info\n"},
      {"log_level: info", "http", "8080", "log_level: info\nhttp: 8080\n"},
      {"a: 1\n", "http", "on", nullptr},
      {"preload:\n  - a # one\n  - b\n  # end of list\n\n# next\nhttp: off\n", "preload", "x, y z",
       "preload: [x, \"y z\"]\n\n# next\nhttp: off\n"},
      {"default_model: x\n  # indented note\nhttp: off\n", "default_model", "y",
       "default_model: y\n  # indented note\nhttp: off\n"},
      {"default_model: >\n  long\n  text\nhttp: off\n", "default_model", "short", "default_model: short\nhttp: off\n"},
      {"http: off\r\nlog_level: info\r\n", "log_level", "debug", "http: off\r\nlog_level: debug\r\n"},
      {"http: off\r\n", "log_level", "debug", "http: off\r\nlog_level: debug\r\n"},
      {"---\nhttp: off\n...\n", "log_level", "debug", "---\nhttp: off\nlog_level: debug\n...\n"},
      {"{http: off}\n", "http", "on", nullptr},
      {"http: off\n", "fair_weights", "b: 2,a: 0.5", "http: off\nfair_weights: {a: 0.5, b: 2}\n"},
      {"http_threads: oops\n", "http_threads", "3", "http_threads: 3\n"},
      {"\"http\": off # q\n", "http", "on", "http: on # q\n"},
      {"# a\nhttp: on # b\n# c\nlog_level: info\n", "http", nullptr, "# a\n# c\nlog_level: info\n"},
      {"http: on\n", "log_level", nullptr, "http: on\n"},
      {"default_model: it's # not a quote\n", "default_model", "b", "default_model: b # not a quote\n"},
  };
  const test::TempDir folder;
  const std::string path = folder.path("server.yaml");
  for (const EditCase& c : cases) {
    write_file(path, c.before);
    const Status status = c.value != nullptr ? write_setting(path, c.name, c.value) : remove_setting(path, c.name);
    const std::string after = read_file(path);
    if (c.after == nullptr) {
      EXPECT_FALSE(status.ok()) << c.before;
      EXPECT_EQ(after, c.before);
    } else {
      EXPECT_TRUE(status.ok()) << c.before << status.message();
      EXPECT_EQ(after, c.after) << c.before;
    }
    EXPECT_EQ(folder.num_files(), 1U);
  }
}

TEST(WriteSetting, RefusesBeforeItWrites) {
  const test::TempDir folder;
  const std::string path = folder.path("server.yaml");
  EXPECT_EQ(write_setting(path, "http_threads", "0").message(), "http_threads: 0 is not between 1 and 256 threads");
  EXPECT_EQ(write_setting(path, "treads", "1").message(), "there is no setting \"treads\"; did you mean \"threads\"?");
  EXPECT_EQ(write_setting(path, "tls_key", "a").message(),
            path + ": tls_key needs tls_certificate, the file of its certificate");
  EXPECT_EQ(folder.num_files(), 0U);
}

TEST(WriteSetting, MakesTheFolderAndFollowsLinks) {
  const test::TempDir folder;
  ASSERT_TRUE(write_setting(folder.path("a/b/server.yaml"), "http", "on").ok());
  const std::string real = folder.path("a/b/server.yaml");
  const std::string link = folder.path("link.yaml");
  std::filesystem::create_symlink(real, link);
  ASSERT_TRUE(write_setting(link, "http", "8080").ok());
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(read_file(real), "http: 8080\n");
}

TEST(ServerYaml, TheExampleIsTheDefaults) {
  const std::string path = MLXR_SOURCE_DIR "/configs/server.yaml";
  std::string text = read_file(path);
  const auto as_it_is = parse_settings(text, path);
  ASSERT_TRUE(as_it_is.ok()) << as_it_is.status().message();
  EXPECT_TRUE(changed_settings(*as_it_is, Settings{}).empty());
  // With every # before a key taken off it says the same.
  std::size_t at = 0;
  while ((at = text.find("\n#", at)) != std::string::npos) {
    if (text[at + 2] != ' ') text.erase(at + 1, 1);
    ++at;
  }
  const auto spelled = parse_settings(text, path);
  ASSERT_TRUE(spelled.ok()) << spelled.status().message();
  EXPECT_TRUE(changed_settings(*spelled, Settings{}).empty());
}

}  // namespace
}  // namespace mlxr
