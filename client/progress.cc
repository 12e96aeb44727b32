#include "client/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/text.h"

namespace vxa::client {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(100);
constexpr size_t kBar = 24;
constexpr char kWipe[] = "\r\x1b[K";  // ECMA-48: to the line's start, erase to its end

std::string Bar(uint64_t done, uint64_t size) {
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(size));
  const auto filled = static_cast<size_t>(part * kBar);
  return absl::StrCat(" [", std::string(filled, '#'), std::string(kBar - filled, ' '), "] ",
                      Percent(done, size));
}

}  // namespace

// Short transfers come and go without one.
Progress::Progress(const std::string& label)
    : label_(Printable(label)),
      terminal_(isatty(STDERR_FILENO) == 1),
      next_(absl::Now() + 5 * kInterval),
      start_(absl::Now()) {}

Progress::~Progress() { Wipe(); }

void Progress::SetLabel(const std::string& label) { label_ = Printable(label); }

void Progress::Wipe() {
  if (std::exchange(drawn_, false)) std::fputs(kWipe, stderr);
}

void Progress::Show(uint64_t done, uint64_t size) {
  if (!terminal_) return;
  const absl::Time now = absl::Now();
  if (now < next_) return;
  next_ = now + kInterval;
  drawn_ = true;
  const double seconds = absl::ToDoubleSeconds(now - start_);
  const auto rate = static_cast<uint64_t>(static_cast<double>(done) / seconds);
  std::fputs(absl::StrCat(kWipe, label_, size > 0 ? Bar(done, size) : "", "  ", HumanSize(done),
                          "  ", HumanSize(rate), "/s")
                 .c_str(),
             stderr);
}

}  // namespace vxa::client
