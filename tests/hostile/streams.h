// Bytes in memory as what a decode reads and writes.
#ifndef TESTS_HOSTILE_STREAMS_H_
#define TESTS_HOSTILE_STREAMS_H_

#include <string>
#include <string_view>
#include <utility>

#include "vxengine/decode_service.h"

namespace vx::hostile {

class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string bytes) : bytes_(std::move(bytes)) {}
  absl::StatusOr<std::string_view> Next() override {
    return std::exchange(at_end_, true) ? std::string_view() : std::string_view(bytes_);
  }

 private:
  const std::string bytes_;
  bool at_end_ = false;
};

class StringSink final : public ByteSink {
 public:
  absl::Status Append(std::string_view more) override {
    bytes += more;
    return absl::OkStatus();
  }
  std::string bytes;
};

}  // namespace vx::hostile

#endif  // TESTS_HOSTILE_STREAMS_H_
