#include "decoders/testing/run_guest_vx.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxengine/vx.h"

namespace vxa::decoders {
namespace {

// Sanitizers keep memory of their own where the exclusive placement would be.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kPlacementsAreFree = false;
#else
constexpr bool kPlacementsAreFree = true;
#endif

using ProgramOr = absl::StatusOr<std::shared_ptr<const vx::Program>>;

ProgramOr Load(const std::string& guest) {
  static auto& loaded = *new std::map<std::string, ProgramOr>;
  auto found = loaded.find(guest);
  if (found == loaded.end()) {
    std::ifstream file(guest + ".vx", std::ios::binary);
    std::string elf{std::istreambuf_iterator<char>(file), {}};
    found = loaded.emplace(guest, vx::Program::Load(elf)).first;
  }
  return found->second;
}

class StringIo : public vx::Io {
 public:
  StringIo(std::string_view input, GuestRun& run) : input_(input), run_(run) {}

  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override {
    size_t length = std::min(buffer.size(), input_.size());
    std::copy_n(input_.begin(), length, buffer.begin());
    input_.remove_prefix(length);
    return length;
  }

  absl::Status Write(int fd, std::span<const uint8_t> bytes) override {
    std::string& to = fd == VX_FD_OUTPUT ? run_.output : run_.diagnostics;
    to.append(bytes.begin(), bytes.end());
    return absl::OkStatus();
  }

 private:
  std::string_view input_;
  GuestRun& run_;
};

}  // namespace

GuestRun RunGuestOn(vx::Engine engine, vx::Placement placement, const std::string& guest,
                    const std::vector<std::string>& arguments, std::string_view input) {
  GuestRun run;
  ProgramOr program = Load(guest);
  if (!program.ok()) {
    run.failure = program.status().ToString();
    return run;
  }
  auto sandbox = vx::Sandbox::Create(
      *program, {.engine = engine, .placement = placement, .arguments = arguments});
  if (!sandbox.ok()) {
    run.failure = sandbox.status().ToString();
    return run;
  }
  if (kPlacementsAreFree && engine == vx::Engine::kTranslator &&
      (*sandbox)->placement() != placement) {
    run.failure = "it got another placement";
    return run;
  }
  StringIo io(input, run);
  vx::Outcome outcome = (*sandbox)->Run(io);
  run.exit_status = outcome.exit_status;
  if (outcome.end != vx::Outcome::End::kExited) run.failure = vx::Describe(outcome, **program);
  return run;
}

}  // namespace vxa::decoders
