#include "daemon/telemetry/request_record.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

RequestRecord example() {
  RequestRecord record;
  record.id = "req_1";
  record.unix_ms = 1700000000123;
  record.dialect = "openai";
  record.route = "/v1/chat/completions";
  record.body = "{\"messages\":[]}\n";
  record.model = "sprout";
  record.model_digest = "sha256:ab";
  record.version = "1.0";
  record.result = "ok";
  record.prompt_tokens = {1, 2, 300000};
  record.cached_tokens = 2;
  record.choices = {{18446744073709551615ULL, "stop", {5, -1}, "caf\xC3\xA9"}, {7, "length", {}, ""}};
  record.queue_ms = 0.125;
  record.first_token_ms = 2.5;
  record.total_ms = 1e3;
  return record;
}

TEST(RequestRecord, WrittenAndRead) {
  const test::TempDir folder;
  const std::string path = folder.path("records");
  {
    const auto recorder = RequestRecorder::open(path);
    ASSERT_TRUE(recorder.ok());
    EXPECT_TRUE((*recorder)->write(example()).ok());
    EXPECT_TRUE((*recorder)->write(example()).ok());
  }
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  const auto records = read_records(path);
  ASSERT_TRUE(records.ok()) << records.status().message();
  ASSERT_EQ(records->size(), 2U);
  const RequestRecord& read = (*records)[1];
  EXPECT_EQ(record_line(read), record_line(example()));
  EXPECT_EQ(read.choices[0].seed, 18446744073709551615ULL);
  EXPECT_EQ(read.choices[0].tokens, (std::vector<std::int32_t>{5, -1}));
  EXPECT_EQ(read.body, example().body);
  EXPECT_EQ(read.queue_ms, 0.125);
}

TEST(RequestRecord, Refuses) {
  struct Case {
    std::string line;
    const char* error;
  };
  const Case cases[] = {
      {"", "is not a JSON object"},
      {"[]", "is not a JSON object"},
      {"{\"route\":\"/x\"", "is not a JSON object"},
      {"{}", "route: is missing"},
      {"{\"route\":3}", "route: is not of its type"},
      {"{\"route\":\"/x\",\"prompt_tokens\":[1.5]}", "prompt_tokens: is not of its type"},
      {"{\"route\":\"/x\",\"prompt_tokens\":[9999999999]}", "prompt_tokens: is not of its type"},
      {"{\"route\":\"/x\",\"choices\":[{\"seed\":-1}]}", "choices[0].seed: is not of its type"},
      {"{\"route\":\"/x\",\"choices\":[3]}", "choices[0]: is not of its type"},
      {"{\"route\":\"/x\",\"choices\":{}}", "choices: is not of its type"},
      {"{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}", "is nested too deep"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(parse_record(c.line).status().message(), c.error) << c.line.substr(0, 60);
  EXPECT_TRUE(parse_record("{\"route\":\"/x\",\"later\":{\"a\":1}}").ok());
  const test::TempDir folder;
  test::write_file(folder.path("r"), "{\"route\":\"/x\"}\n\n{]\n");
  EXPECT_EQ(read_records(folder.path("r")).status().message(), folder.path("r") + ":3: is not a JSON object");
  EXPECT_EQ(read_records(folder.path("none")).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace mlxr
