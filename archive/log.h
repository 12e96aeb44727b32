// One line on stderr for the operator: time (UTC), level, text.
#ifndef ARCHIVE_LOG_H_
#define ARCHIVE_LOG_H_

#include <functional>
#include <string>
#include <string_view>

namespace vxa {

enum class LogLevel { kInfo, kWarning, kError };

// `text` with control characters as "\xNN", so that no name or message can fake a line.
std::string OneLine(std::string_view text);

// Thread-safe; a line is written whole, and is one.
void Log(LogLevel level, std::string_view text);

// While one exists, what its thread logs goes to it instead. One at a time on a thread.
class LogCapture {
 public:
  using Take = std::function<void(LogLevel, std::string_view)>;
  explicit LogCapture(Take take);
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

 private:
  friend void Log(LogLevel level, std::string_view text);
  const Take take_;
};

}  // namespace vxa

#endif  // ARCHIVE_LOG_H_
