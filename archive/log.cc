#include "archive/log.h"

#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "archive/text.h"

namespace vxa {
namespace {

thread_local LogCapture* capture = nullptr;

}  // namespace

std::string OneLine(std::string_view text) {
  std::string line;
  for (unsigned char c : text) {
    if (c < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&line, "\\x%02x", c);
    } else {
      line.push_back(static_cast<char>(c));
    }
  }
  return line;
}

LogCapture::LogCapture(Take take) : take_(std::move(take)) { capture = this; }
LogCapture::~LogCapture() { capture = nullptr; }

void Log(LogLevel level, std::string_view text) {
  if (capture != nullptr) return capture->take_(level, text);
  static constexpr std::string_view kNames[] = {"INFO", "WARNING", "ERROR"};
  std::string line =
      absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()), " ",
                   Absl(kNames[static_cast<int>(level)]), " archive: ");
  absl::StrAppend(&line, OneLine(text), "\n");
  // One write call is one line even when threads and processes share the descriptor. There is
  // nowhere to report that stderr failed.
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace vxa
