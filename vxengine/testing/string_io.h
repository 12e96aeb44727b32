// A guest's descriptors in memory.
#ifndef VXENGINE_TESTING_STRING_IO_H_
#define VXENGINE_TESTING_STRING_IO_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxengine/abi.h"
#include "vxengine/vx.h"

namespace vx::testing {

class StringIo : public Io {
 public:
  // The input outlives it.
  explicit StringIo(std::string_view input = "") : input_(input) {}

  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override {
    const size_t count = input_.copy(reinterpret_cast<char*>(buffer.data()), buffer.size());
    input_.remove_prefix(count);
    return count;
  }

  absl::Status Write(int fd, std::span<const uint8_t> bytes) override {
    (fd == VX_FD_OUTPUT ? output : diagnostics).append(bytes.begin(), bytes.end());
    return absl::OkStatus();
  }

  std::string output, diagnostics;

 private:
  std::string_view input_;
};

}  // namespace vx::testing

#endif  // VXENGINE_TESTING_STRING_IO_H_
