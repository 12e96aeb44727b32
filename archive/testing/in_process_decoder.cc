#include "archive/testing/in_process_decoder.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "archive/digest.h"
#include "vxengine/testing/string_io.h"
#include "vxengine/vx.h"

namespace vxa::testing {
namespace {

class InProcessDecodeService : public vx::DecodeService {
 public:
  absl::StatusOr<vx::DecodeResult> Decode(const vx::DecodeRequest& request, vx::ByteSource& source,
                                          vx::ByteSink& sink) override {
    std::string input;
    for (;;) {
      absl::StatusOr<std::string_view> next = source.Next();
      if (!next.ok()) return next.status();
      if (next->empty()) break;
      input.append(*next);
    }
    std::lock_guard lock(mutex_);
    auto [done, is_new] = done_.try_emplace(KeyOf(request, input));
    if (is_new) done->second = Run(request, input);
    const Done& result = done->second;
    if (!result.result.ok()) return result.result;
    if (!result.output.empty()) {
      if (absl::Status taken = sink.Append(result.output); !taken.ok()) return taken;
    }
    return result.result;
  }

 private:
  struct Done {
    absl::StatusOr<vx::DecodeResult> result = absl::UnknownError("not run");
    std::string output;
  };

  // All that the result follows from.
  static Digest KeyOf(const vx::DecodeRequest& request, const std::string& input) {
    std::string key = absl::StrCat(
        request.limits.memory, " ", request.limits.stack, " ", request.limits.instructions, " ",
        request.count_instructions, " ", request.limits.output, " ",
        static_cast<int>(request.profile), " ", Digest::Of(input).ToString());
    key += Digest::Of(request.decoder).ToString();
    for (const std::string& argument : request.arguments) {
      absl::StrAppend(&key, " ", Digest::Of(argument).ToString());
    }
    return Digest::Of(key);
  }

  static Done Run(const vx::DecodeRequest& request, const std::string& input) {
    absl::StatusOr<std::shared_ptr<const vx::Program>> program = vx::Program::Load(request.decoder);
    if (!program.ok()) return {.result = program.status()};
    absl::StatusOr<std::unique_ptr<vx::Sandbox>> sandbox =
        vx::Sandbox::Create(*program, {.limits = request.limits,
                                       .profile = request.profile,
                                       .count_instructions = request.count_instructions,
                                       .arguments = request.arguments});
    if (!sandbox.ok()) return {.result = sandbox.status()};
    vx::testing::StringIo io(input);
    vx::DecodeResult result{.outcome = (*sandbox)->Run(io)};
    result.description = vx::Describe(result.outcome, **program);
    result.diagnostics = io.diagnostics;
    return {.result = std::move(result), .output = std::move(io.output)};
  }

  std::mutex mutex_;
  std::map<Digest, Done> done_;
};

}  // namespace

std::unique_ptr<vx::DecodeService> NewInProcessDecodeService() {
  return std::make_unique<InProcessDecodeService>();
}

}  // namespace vxa::testing
