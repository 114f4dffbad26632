#include "daemon/settings/settings.h"

#include <cstdlib>
#include <set>

#include <gtest/gtest.h>

#include "core/runtime/engine/engine.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using namespace std::chrono_literals;

TEST(Settings, EveryRowReadsItsOwnDefaultBack) {
  Settings defaults;
  EXPECT_TRUE(defaults.validate().ok());
  std::set<std::string> names;
  for (const SettingInfo& info : setting_infos()) {
    EXPECT_TRUE(names.insert(std::string(info.name)).second) << info.name;
    EXPECT_FALSE(info.help.empty()) << info.name;
    EXPECT_FALSE(info.help.ends_with('.')) << info.name;
    Settings copy;
    const Status status = set_setting(copy, info.name, setting_text(defaults, info.name));
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(changed_settings(defaults, copy).empty()) << info.name;
  }
}

TEST(Settings, NamesForOtherPlaces) {
  const SettingInfo* info = find_setting("http_threads");
  ASSERT_NE(info, nullptr);
  EXPECT_EQ(info->environment(), "MLXR_HTTP_THREADS");
  EXPECT_EQ(info->flag(), "--http-threads");
  EXPECT_EQ(info->allowed(), "between 1 and 256 threads");
  EXPECT_EQ(find_setting("nothing"), nullptr);
}

// Defaults that stand in other floors too.
TEST(Settings, AgreesWithTheEngine) {
  const Settings settings;
  const EngineOptions engine;
  EXPECT_EQ(settings.block_tokens, engine.block_tokens);
  EXPECT_EQ(settings.max_sequences, engine.max_sequences);
  EXPECT_EQ(settings.max_draft_tokens, engine.max_draft_tokens);
  EXPECT_EQ(settings.kv_persistence_max_bytes, engine.store_max_bytes);
  std::string kv_types = "auto";
#define MLXR_KV_TYPE(name, text, bits, scale) kv_types += std::string("|") + (text);
#include "core/backend/kv_type.def"
#undef MLXR_KV_TYPE
  EXPECT_EQ(find_setting("kv_type")->check.choices, kv_types);
}

struct SetCase {
  const char* name;
  const char* text;
  const char* result;  // as text; or the error where it begins with !
};

TEST(Settings, SetsAndRefuses) {
  const SetCase cases[] = {
      {"prefault", "off", "false"},
      {"prefault", " Yes ", "true"},
      {"prefault", "maybe", "!prefault: \"maybe\" is neither true nor false"},
      {"http_threads", "4", "4"},
      {"http_threads", "0", "!http_threads: 0 is not between 1 and 256 threads"},
      {"http_threads", "4.5", "!http_threads: \"4.5\" is not a whole number"},
      {"http_threads", "", "!http_threads: \"\" is not a whole number"},
      {"http_threads", "99999999999999999999", "!http_threads: \"99999999999999999999\" is not a whole number"},
      {"target_latency_ms", "12.5", "12.5"},
      {"target_latency_ms", "nan", "!target_latency_ms: \"nan\" is not a number"},
      {"target_latency_ms", "1e400", "!target_latency_ms: \"1e400\" is not a number"},
      {"max_request_bytes", "1.5 MiB", "1536KiB"},
      {"max_request_bytes", "2MB", "2000000"},
      {"max_request_bytes", "12", "!max_request_bytes: 12 is not at least 1KiB"},
      {"max_request_bytes", "12 apples",
       "!max_request_bytes: \"12 apples\" is not a number of bytes, such as 8GiB, 512MB or 4096"},
      {"max_request_bytes", "99999999TiB", "!max_request_bytes: \"99999999TiB\" is more than there can be"},
      {"keep_alive", "1h30m", "1h30m"},
      {"keep_alive", "300", "5m"},
      {"keep_alive", "-1m", "-1"},
      {"keep_alive", "0", "0s"},
      {"keep_alive", "1.5h", "1h30m"},
      {"keep_alive", "5 minutes",
       "!keep_alive: \"5 minutes\" is not a duration, such as 30s, 5m, 1h30m or -1 for ever"},
      {"keep_alive", "9999999999h", "!keep_alive: \"9999999999h\" is too long a time"},
      {"idle_timeout", "-1", "!idle_timeout: it may not be for ever"},
      {"idle_timeout", "0", "!idle_timeout: 0s is not between 1ms and 24h"},
      {"kv_type", "q8_0", "q8_0"},
      {"kv_type", "q9", "!kv_type: \"q9\" is not one of auto, f32, f16, bf16, q8_0, q4_0, fp8_e4m3"},
      {"block_tokens", "64", "64"},
      {"block_tokens", "48", "!block_tokens: \"48\" is not one of 16, 32, 64"},
      {"allowed_hosts", " a.example ,b.example,", "a.example, b.example"},
      {"allowed_hosts", "a,,b", "!allowed_hosts: a list has an empty item"},
      {"fair_weights", "batch: 0.5, chat: 2", "batch: 0.5, chat: 2"},
      {"fair_weights", "batch: 0", "!fair_weights: weight 0 of batch is not between 0.001 and 1000"},
      {"fair_weights", "batch", "!fair_weights: \"batch\" is not NAME: WEIGHT"},
      {"fair_weights", "a: 1, a: 2", "!fair_weights: \"a\" is given twice"},
      {"otlp_endpoint", "localhost:4318", "!otlp_endpoint: \"localhost:4318\" does not begin with http:// or https://"},
      {"default_model", "a\nb", "!default_model: holds a control character"},
      {"default_model", "\xff", "!default_model: is not valid UTF-8"},
      {"http", "banana:", "!http: \"banana:\" is not off, on, a port, HOST, HOST:PORT or [IPV6]:PORT"},
      {"htp", "on", "!there is no setting \"htp\"; did you mean \"http\"?"},
      {"zzzzzzzz", "on", "!there is no setting \"zzzzzzzz\""},
  };
  for (const SetCase& c : cases) {
    Settings settings;
    const Status status = set_setting(settings, c.name, c.text);
    if (c.result[0] == '!') {
      EXPECT_EQ(status.message(), c.result + 1) << c.name << " = " << c.text;
      EXPECT_TRUE(changed_settings(settings, Settings{}).empty()) << c.name << " = " << c.text;
    } else {
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(setting_text(settings, c.name), c.result) << c.name << " = " << c.text;
    }
  }
}

TEST(Settings, HomeInPaths) {
  ASSERT_NE(std::getenv("HOME"), nullptr);
  Settings settings;
  ASSERT_TRUE(set_setting(settings, "models_folder", "~/models").ok());
  EXPECT_EQ(settings.models_folder, std::string(std::getenv("HOME")) + "/models");
}

TEST(Settings, PairsThatNeedEachOther) {
  Settings settings;
  settings.tls_certificate = "a.pem";
  EXPECT_EQ(settings.validate().message(), "tls_certificate needs tls_key, the file of its private key");
  settings = {};
  settings.max_batch_tokens = 64;
  EXPECT_EQ(settings.validate().message(), "max_batch_tokens is 64, less than max_sequences (64) and 32 more");
}

struct AddressCase {
  const char* text;
  const char* host;  // nullptr: off; "!": refused
  int port;
};

TEST(ListenAddress, Forms) {
  const AddressCase cases[] = {
      {"off", nullptr, 0},
      {"", nullptr, 0},
      {"on", "127.0.0.1", 11434},
      {"8080", "127.0.0.1", 8080},
      {"0.0.0.0", "0.0.0.0", 11434},
      {"localhost:0", "localhost", 0},
      {"[::1]:80", "::1", 80},
      {"[::1]", "::1", 11434},
      {"::1", "::1", 11434},
      {"fe80::1%eth0", "fe80::1%eth0", 11434},
      {":80", "!", 0},
      {"a:65536", "!", 0},
      {"a:", "!", 0},
      {"[a]:1", "!", 0},
      {"[::1", "!", 0},
      {"[::1]80", "!", 0},
      {"http://a", "!", 0},
      {"a b", "!", 0},
  };
  for (const AddressCase& c : cases) {
    const auto parsed = parse_listen_address(c.text);
    if (c.host != nullptr && c.host[0] == '!') {
      EXPECT_FALSE(parsed.ok()) << c.text;
      continue;
    }
    ASSERT_TRUE(parsed.ok()) << c.text;
    EXPECT_EQ(parsed->has_value(), c.host != nullptr) << c.text;
    if (!parsed->has_value() || c.host == nullptr) continue;
    EXPECT_EQ((*parsed)->host, c.host);
    EXPECT_EQ((*parsed)->port, c.port);
  }
}

TEST(Durations, BackAndForth) {
  for (const Duration duration :
       {Duration(0), Duration(1), Duration(999), Duration(61s), Duration(3661001), Duration(24h)}) {
    const Result<Duration> read = parse_duration(duration_text(duration));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, duration);
  }
  EXPECT_EQ(duration_text(kForever), "-1");
}

// The pages that are made of the rows. MLXR_WRITE_DOCS=1 makes them again.
TEST(SettingsPages, AreUpToDate) {
  const std::pair<std::string, std::string> pages[] = {
      {"/docs/settings.md", settings_markdown()},
      {"/configs/server.yaml", settings_example()},
  };
  for (const auto& [name, text] : pages) {
    const std::string path = MLXR_SOURCE_DIR + name;
    if (std::getenv("MLXR_WRITE_DOCS") != nullptr) test::write_file(path, text);
    EXPECT_EQ(test::read_file(path), text) << name << " is stale: MLXR_WRITE_DOCS=1 settings_test makes it again";
  }
}

}  // namespace
}  // namespace mlxr
