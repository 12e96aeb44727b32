#include "archive/testing/in_process_decoding.h"

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>

#include "absl/time/clock.h"
#include "vxengine/vx.h"

namespace vxa::testing {
namespace {

class ServiceIo : public vx::Io {
 public:
  ServiceIo(const vx::DecodeRequest& request, vx::ByteSource& source, vx::ByteSink& sink)
      : request_(request), source_(source), sink_(sink) {}

  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override {
    if (status_ = CheckCaller(); !status_.ok()) return status_;
    if (input_.empty()) {
      absl::StatusOr<std::string_view> next = source_.Next();
      if (status_ = next.status(); !status_.ok()) return status_;
      input_ = *next;
    }
    const size_t count = std::min(buffer.size(), input_.size());
    std::copy_n(input_.begin(), count, buffer.begin());
    input_.remove_prefix(count);
    return count;
  }

  absl::Status Write(int fd, std::span<const uint8_t> bytes) override {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (fd != VX_FD_OUTPUT) {
      diagnostics.append(text);
      return absl::OkStatus();
    }
    if (status_ = CheckCaller(); status_.ok()) status_ = sink_.Append(text);
    return status_;
  }

  // Why source, sink or caller ended the run.
  const absl::Status& status() const { return status_; }

  std::string diagnostics;

 private:
  absl::Status CheckCaller() const {
    if (absl::Now() >= request_.deadline) return absl::DeadlineExceededError("deadline");
    if (request_.cancelled && request_.cancelled()) return absl::CancelledError("cancelled");
    return absl::OkStatus();
  }

  const vx::DecodeRequest& request_;
  vx::ByteSource& source_;
  vx::ByteSink& sink_;
  std::string_view input_;
  absl::Status status_;
};

class InProcessService : public vx::DecodeService {
 public:
  absl::StatusOr<vx::DecodeResult> Decode(const vx::DecodeRequest& request, vx::ByteSource& source,
                                          vx::ByteSink& sink) override {
    const absl::Time begin = absl::Now();
    absl::StatusOr<std::shared_ptr<const vx::Program>> program = vx::Program::Load(request.decoder);
    if (!program.ok()) return program.status();
    absl::StatusOr<std::unique_ptr<vx::Sandbox>> sandbox = vx::Sandbox::Create(
        *program,
        {.limits = request.limits, .profile = request.profile, .arguments = request.arguments});
    if (!sandbox.ok()) return sandbox.status();
    ServiceIo io(request, source, sink);
    vx::DecodeResult result{.outcome = (*sandbox)->Run(io)};
    if (!io.status().ok()) return io.status();
    result.description = vx::Describe(result.outcome, **program);
    result.diagnostics = io.diagnostics;
    result.wall_time = absl::Now() - begin;
    return result;
  }
};

}  // namespace

vx::DecodeService& InProcess() {
  static InProcessService service;
  return service;
}

}  // namespace vxa::testing
