// A line on stderr that shows how far a transfer is.
#ifndef CLIENT_PROGRESS_H_
#define CLIENT_PROGRESS_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace vxa::client {

// Draws only where stderr is a terminal, at most ten times a second, and wipes itself at the end.
class Progress {
 public:
  explicit Progress(const std::string& label);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void SetLabel(const std::string& label);

  // `size` 0: unknown.
  void Show(uint64_t done, uint64_t size);

  // Before something else is printed.
  void Wipe();

 private:
  std::string label_;
  const bool terminal_;
  absl::Time next_;
  const absl::Time start_;
  bool drawn_ = false;
};

}  // namespace vxa::client

#endif  // CLIENT_PROGRESS_H_
