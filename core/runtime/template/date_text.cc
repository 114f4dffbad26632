#include "core/runtime/template/date_text.h"

#include <array>

#include <fmt/core.h>

namespace mlxr::jinja {
namespace {

constexpr std::array<const char*, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                              "Thursday", "Friday", "Saturday"};
constexpr std::array<const char*, 12> kMonths = {"January", "February", "March",     "April",   "May",      "June",
                                                 "July",    "August",   "September", "October", "November", "December"};

std::string name_at(const auto& names, int i) {
  return i >= 0 && static_cast<std::size_t>(i) < names.size() ? names[static_cast<std::size_t>(i)] : "?";
}

int twelve_hours(int hour) {
  return hour % 12 == 0 ? 12 : hour % 12;
}

// ISO 8601: weeks start on Monday and belong to the year of their Thursday.
struct IsoWeek {
  int year;
  int week;
};
IsoWeek iso_week(const std::tm& time) {
  const int weekday = (time.tm_wday + 6) % 7;
  const auto days_in = [](int year) {
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return leap ? 366 : 365;
  };
  int year = time.tm_year + 1900;
  int thursday = time.tm_yday - weekday + 3;
  if (thursday < 0) {
    --year;
    thursday += days_in(year);
  } else if (thursday >= days_in(year)) {
    thursday -= days_in(year);
    ++year;
  }
  return {year, thursday / 7 + 1};
}

std::string directive(char c, const std::tm& time) {
  const int year = time.tm_year + 1900;
  switch (c) {
    case 'a':
      return name_at(kDays, time.tm_wday).substr(0, 3);
    case 'A':
      return name_at(kDays, time.tm_wday);
    case 'b':
    case 'h':
      return name_at(kMonths, time.tm_mon).substr(0, 3);
    case 'B':
      return name_at(kMonths, time.tm_mon);
    case 'c':
      return date_text("%a %b %e %H:%M:%S %Y", time);
    case 'C':
      return fmt::format("{:02}", year / 100);
    case 'd':
      return fmt::format("{:02}", time.tm_mday);
    case 'D':
    case 'x':
      return date_text("%m/%d/%y", time);
    case 'e':
      return fmt::format("{:2}", time.tm_mday);
    case 'f':
      return "000000";
    case 'F':
      return date_text("%Y-%m-%d", time);
    case 'G':
      return fmt::format("{}", iso_week(time).year);
    case 'H':
      return fmt::format("{:02}", time.tm_hour);
    case 'I':
      return fmt::format("{:02}", twelve_hours(time.tm_hour));
    case 'j':
      return fmt::format("{:03}", time.tm_yday + 1);
    case 'k':
      return fmt::format("{:2}", time.tm_hour);
    case 'l':
      return fmt::format("{:2}", twelve_hours(time.tm_hour));
    case 'm':
      return fmt::format("{:02}", time.tm_mon + 1);
    case 'M':
      return fmt::format("{:02}", time.tm_min);
    case 'n':
      return "\n";
    case 'p':
      return time.tm_hour < 12 ? "AM" : "PM";
    case 'P':
      return time.tm_hour < 12 ? "am" : "pm";
    case 'r':
      return date_text("%I:%M:%S %p", time);
    case 'R':
      return date_text("%H:%M", time);
    case 'S':
      return fmt::format("{:02}", time.tm_sec);
    case 't':
      return "\t";
    case 'T':
    case 'X':
      return date_text("%H:%M:%S", time);
    case 'u':
      return fmt::format("{}", time.tm_wday == 0 ? 7 : time.tm_wday);
    case 'U':
      return fmt::format("{:02}", (time.tm_yday + 7 - time.tm_wday) / 7);
    case 'V':
      return fmt::format("{:02}", iso_week(time).week);
    case 'w':
      return fmt::format("{}", time.tm_wday);
    case 'W':
      return fmt::format("{:02}", (time.tm_yday + 7 - (time.tm_wday + 6) % 7) / 7);
    case 'y':
      return fmt::format("{:02}", year % 100);
    case 'Y':
      return fmt::format("{}", year);
    case 'z':
    case 'Z':
      return "";  // the time has no zone, as datetime.now() in Python
    case '%':
      return "%";
    default:
      return std::string("%") + c;
  }
}

}  // namespace

std::string date_text(std::string_view format, const std::tm& time) {
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    ++i;
    // %-d: without padding.
    const bool bare = format[i] == '-' && i + 1 < format.size();
    if (bare) ++i;
    std::string piece = directive(format[i], time);
    if (bare) piece.erase(0, std::min(piece.find_first_not_of("0 "), piece.size() - 1));
    out += piece;
  }
  return out;
}

}  // namespace mlxr::jinja
