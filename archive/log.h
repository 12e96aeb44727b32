// One line on stderr for the operator: time (UTC), level, text.
#ifndef ARCHIVE_LOG_H_
#define ARCHIVE_LOG_H_

#include <string_view>

namespace vxa {

enum class LogLevel { kInfo, kWarning, kError };

// Thread-safe; a line is written whole. Control characters in `text` are shown as "\xNN", so that
// no name or message can fake a line.
void Log(LogLevel level, std::string_view text);

}  // namespace vxa

#endif  // ARCHIVE_LOG_H_
