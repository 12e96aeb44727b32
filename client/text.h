// Text for people.
#ifndef CLIENT_TEXT_H_
#define CLIENT_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vxa::client {

bool IsUtf8(std::string_view text);

// Whether it is a number as it is printed: decimal digits without needless zeros, below 2^64.
bool IsNumber(std::string_view text);

// `text`, safe for a terminal: bytes that aren't UTF-8, control characters and those that change
// the direction of text are shown as "\xNN", a backslash as it is.
std::string Printable(std::string_view text);

// `text` of several lines, safe for a terminal and with its lines and tabs kept. `indent` goes
// before each but the first, so that none looks like a message of its own.
std::string PrintableLines(std::string_view text, std::string_view indent);

// "1,234,567"
std::string Thousands(uint64_t number);

// "1 run", "2,000 runs"
std::string Count(uint64_t number, std::string_view one, std::string_view many);

// "17 bytes", "1.4 MiB"
std::string HumanSize(uint64_t bytes);

// `part` of `whole`: "46.1%", or "-" of nothing.
std::string Percent(uint64_t part, uint64_t whole);

// Columns, as wide as their widest cell in characters; "<" in `align` for those to the left, ">"
// for the right. The last column has no padding.
std::string Table(const std::vector<std::vector<std::string>>& rows, std::string_view align);

}  // namespace vxa::client

#endif  // CLIENT_TEXT_H_
