#include "daemon/telemetry/log.h"

#include <sys/stat.h>

#include <cstdio>
#include <limits>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

std::string json_line(const std::vector<LogField>& fields, bool prompts = false) {
  return json_log_line(1700000000123456789, LogLevel::kInfo, "model.loaded", fields.data(), fields.size(), prompts);
}
std::string text_line(const std::vector<LogField>& fields, bool prompts = false) {
  return text_log_line(1700000000123456789, LogLevel::kWarn, "model.loaded", fields.data(), fields.size(), prompts);
}

TEST(Log, Lines) {
  const std::vector<LogField> fields = {{"model", "q \"3\"\n"}, {"seconds", 1.5}, {"count", 3},
                                        {"big", ~0ULL},         {"ok", true},     {"key", Secret("mlxr_sk_abc")},
                                        {"plain", "a/b"}};
  EXPECT_EQ(json_line(fields),
            "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\",\"event\":\"model.loaded\","
            "\"model\":\"q \\\"3\\\"\\n\",\"seconds\":1.5,\"count\":3,\"big\":18446744073709551615,\"ok\":true,"
            "\"key\":\"***\",\"plain\":\"a/b\"}");
  EXPECT_EQ(text_line(fields),
            "22:13:20.123 warn  model.loaded model=\"q \\\"3\\\"\\n\" seconds=1.5 count=3 big=18446744073709551615 "
            "ok=true key=*** plain=a/b");
}

TEST(Log, NothingThatATerminalActsOn) {
  const std::vector<LogField> fields = {{"a",
                                         "\x1b[31m\xC2\x9B"
                                         "5m\x7f\xff \xE2\x80\xA8"},
                                        {"b", std::string(20000, 'x')},
                                        {"c", std::numeric_limits<double>::infinity()}};
  for (const std::string& line : {json_line(fields), text_line(fields)}) {
    for (const char c : line)
      EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
    EXPECT_EQ(line.find("\xC2\x9B"), std::string::npos);
    EXPECT_LT(line.size(), 17000U);
  }
  EXPECT_EQ(nlohmann::json::parse(json_line(fields))["c"], "inf");
}

TEST(Log, PromptsOnlyWhenAsked) {
  const std::vector<LogField> fields = {{"prompt", PromptText{"my secret diary"}}, {"tokens", 3}};
  EXPECT_EQ(json_line(fields).find("diary"), std::string::npos);
  EXPECT_EQ(text_line(fields).find("diary"), std::string::npos);
  EXPECT_NE(json_line(fields, true).find("my secret diary"), std::string::npos);
}

TEST(Log, FilesLevelsAndReopening) {
  const test::TempDir folder;
  Log::Options options;
  options.file = folder.path("log");
  const auto log = Log::open(options);
  ASSERT_TRUE(log.ok());
  (*log)->debug("unseen");
  (*log)->info("first", {{"n", 1}});
  struct stat info {};
  ASSERT_EQ(::stat(options.file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);

  // As logrotate does it.
  ASSERT_EQ(std::rename(options.file.c_str(), folder.path("log.1").c_str()), 0);
  (*log)->info("second");
  ASSERT_TRUE((*log)->reopen().ok());
  (*log)->info("third");
  options.level = LogLevel::kDebug;
  options.format = LogFormat::kText;
  ASSERT_TRUE((*log)->reopen(options).ok());
  (*log)->debug("fourth");

  const std::string old_file = test::read_file(folder.path("log.1"));
  const std::string new_file = test::read_file(options.file);
  EXPECT_EQ(old_file.find("unseen"), std::string::npos);
  EXPECT_NE(old_file.find("\"first\",\"n\":1}\n"), std::string::npos);
  EXPECT_NE(old_file.find("\"second\""), std::string::npos);
  EXPECT_NE(new_file.find("\"third\""), std::string::npos);
  EXPECT_NE(new_file.find(" debug fourth\n"), std::string::npos);

  options.file = folder.path("no/log");
  EXPECT_FALSE((*log)->reopen(options).ok());
  (*log)->info("fifth");
  EXPECT_NE(test::read_file(folder.path("log")).find("fifth"), std::string::npos);
  EXPECT_FALSE(Log::open(options).ok());
  EXPECT_EQ((*log)->num_lost(), 0U);
}

TEST(Log, Names) {
  EXPECT_EQ(*parse_log_level("warn"), LogLevel::kWarn);
  EXPECT_EQ(parse_log_level("loud").status().message(), "\"loud\" is not a log level: debug, info, warn or error");
  EXPECT_EQ(*parse_log_format("auto"), LogFormat::kAuto);
  EXPECT_FALSE(parse_log_format("xml").ok());
}

}  // namespace
}  // namespace mlxr
