// An archive in memory, whose decoders are pretended: for fuzzers, which want many and the same
// again.
#ifndef TESTS_FUZZ_ARCHIVE_IN_MEMORY_H_
#define TESTS_FUZZ_ARCHIVE_IN_MEMORY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/archive_impl.h"
#include "archive/testing/fault_env.h"
#include "tests/fuzz/check.h"

namespace vxa::fuzz {

// Every decoder copies its input, unless its first argument is "fail".
class CopyingDecodeService : public vx::DecodeService {
 public:
  absl::StatusOr<vx::DecodeResult> Decode(const vx::DecodeRequest& request, vx::ByteSource& source,
                                          vx::ByteSink& sink) override {
    vx::DecodeResult result{.description = "exited with status 0"};
    if (!request.arguments.empty() && request.arguments.front() == "fail") {
      result.outcome.end = vx::Outcome::End::kTrapped;
      result.description = "trapped";
      return result;
    }
    for (uint64_t copied = 0;;) {
      absl::StatusOr<std::string_view> next = source.Next();
      if (!next.ok()) return next.status();
      if (next->empty()) return result;
      copied += next->size();
      if (copied > request.limits.output) {
        result.outcome.end = vx::Outcome::End::kLimited;
        result.outcome.limit = vx::Limit::kOutput;
        return result;
      }
      result.outcome.counters.bytes_in = result.outcome.counters.bytes_out = copied;
      if (absl::Status taken = sink.Append(*next); !taken.ok()) return taken;
    }
  }
};

inline constexpr char kDirectory[] = "/data";

inline absl::StatusOr<std::unique_ptr<Archive>> OpenIn(testing::FaultEnv& env) {
  static auto* const decoder = new CopyingDecodeService;
  return OpenArchive(env, {.directory = kDirectory, .decoder = decoder});
}

// Collects a read.
class Collector : public ReadSink {
 public:
  absl::Status Begin(const ReadHeader& read) override {
    header = read;
    return absl::OkStatus();
  }
  absl::Status Append(std::string_view more) override {
    bytes += more;
    return absl::OkStatus();
  }

  ReadHeader header;
  std::string bytes;
};

}  // namespace vxa::fuzz

#endif  // TESTS_FUZZ_ARCHIVE_IN_MEMORY_H_
