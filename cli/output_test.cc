#include "cli/output.h"

#include <cstdio>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mlxr::cli {
namespace {

// What `write` leaves in a file.
template <class Write>
std::string written(OutputOptions options, Write write) {
  std::FILE* file = std::tmpfile();
  Output output(file, options);
  write(output);
  EXPECT_TRUE(output.finish().ok());
  std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  return text;
}

TEST(Output, TableAlignsColumnsByCharactersNotBytes) {
  const Table table{.header = {"name", "bytes", "type"},
                    .align = {Align::kLeft, Align::kRight},
                    .rows = {{"größe", "1", "F32"}, {"w", "12345678", "Q4_K"}}};
  EXPECT_EQ(written({}, [&](Output& out) { out.table(table); }),
            "name      bytes  type\n"
            "größe         1  F32\n"
            "w      12345678  Q4_K\n");
}

TEST(Output, StylesOnlyWithColor) {
  EXPECT_EQ(Output(stdout, {.color = false}).styled("x", Style::kBold), "x");
  EXPECT_EQ(Output(stdout, {.color = true}).styled("x", Style::kBold), "\x1b[1mx\x1b[0m");
}

TEST(Output, JsonReplacesInvalidUtf8) {
  const nlohmann::ordered_json value = {{"b", "a\xff"}, {"a", 1}};
  EXPECT_EQ(written({}, [&](Output& out) { out.write_json_line(value); }), "{\"b\":\"a\xEF\xBF\xBD\",\"a\":1}\n");
}

TEST(Output, FullDiskIsAnError) {
  std::FILE* full = std::fopen("/dev/full", "w");
  if (full == nullptr) GTEST_SKIP() << "no /dev/full on this system";
  Output output(full, {});
  output.line("text");
  EXPECT_EQ(output.finish().message(), "standard output: No space left on device");
  std::fclose(full);
}

TEST(Printable, EscapesWhatDrivesATerminal) {
  const struct {
    std::string in, out;
  } cases[] = {{"plain ü", "plain ü"},
               {"a\nb\tc\r", "a\\nb\\tc\\r"},
               {"\x1b[31mred", "\\x1b[31mred"},
               {std::string("nul\0", 4), "nul\\x00"},
               {"\x7f", "\\x7f"},
               {"\xc2\x9b"
                "31m",
                "\\u009b31m"},
               {"\xc2\xa0", "\xc2\xa0"},
               {"\xc2", "\xc2"}};
  for (const auto& c : cases)
    EXPECT_EQ(printable(c.in), c.out);
}

TEST(Shortened, CutsAtCharacters) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "ab…");
  EXPECT_EQ(shortened("äöüß", 3), "äö…");
  EXPECT_EQ(shortened("abcd", 1), "…");
}

TEST(Format, BytesCountsDurations) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1000), "1000 B");
  EXPECT_EQ(format_bytes(1024), "1.00 KiB");
  EXPECT_EQ(format_bytes(39950000), "38.1 MiB");
  EXPECT_EQ(format_bytes(1048575), "1.00 MiB");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(25500000), "25.5 M");
  EXPECT_EQ(format_count(7240000000), "7.24 B");
  EXPECT_EQ(format_duration(7.4), "0:07");
  EXPECT_EQ(format_duration(723), "12:03");
  EXPECT_EQ(format_duration(3723), "1:02:03");
}

}  // namespace
}  // namespace mlxr::cli
