#include "decoders/testing/run_guest_vx.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "vxengine/testing/run_elf.h"
#include "vxengine/testing/string_io.h"
#include "vxengine/vx.h"

namespace vxa::decoders {
namespace {

// Sanitizers keep memory of their own where the exclusive placement would be.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kPlacementsAreFree = false;
#else
constexpr bool kPlacementsAreFree = true;
#endif

std::string ReadFile(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

using ProgramOr = absl::StatusOr<std::shared_ptr<const vx::Program>>;

ProgramOr Load(const std::string& guest) {
  static auto& loaded = *new std::map<std::string, ProgramOr>;
  auto found = loaded.find(guest);
  if (found == loaded.end()) {
    found = loaded.emplace(guest, vx::Program::Load(ReadFile(guest + ".vx"))).first;
  }
  return found->second;
}

// What two runs of a guest differ in that no two engines on any two hosts may.
std::string Difference(const vx::Outcome& one, const vx::Outcome& other,
                       const vx::Program& program) {
  const std::string texts[] = {vx::Describe(one, program), vx::Describe(other, program)};
  if (texts[0] != texts[1]) return absl::StrCat(texts[0], "; the translator: ", texts[1]);
  if (one.counters == other.counters) return "";
  return absl::StrCat(one.counters.instructions, " instructions and ", one.counters.peak_memory,
                      " bytes of memory; the translator: ", other.counters.instructions, " and ",
                      other.counters.peak_memory);
}

// On another host's portable machine, and here by the translator: both have to do the same.
GuestRun RunOnMachine(const std::string& guest, const std::shared_ptr<const vx::Program>& program,
                      const std::vector<std::string>& arguments, std::string_view input) {
  GuestRun run;
  const vx::Options options = {.count_instructions = true, .arguments = arguments};
  vx::testing::StringIo io(input), here(input);
  const std::string elf = ReadFile(guest + ".vx");
  const absl::StatusOr<vx::Outcome> outcome = vx::testing::RunElf(elf, options, io);
  const auto sandbox = vx::Sandbox::Create(program, options);
  if (!outcome.ok()) run.failure = outcome.status().ToString();
  if (!sandbox.ok()) run.failure = sandbox.status().ToString();
  if (!run.failure.empty()) return run;
  const vx::Outcome expected = (*sandbox)->Run(here);
  run.exit_status = outcome->exit_status;
  run.output = io.output;
  run.diagnostics = io.diagnostics;
  if (outcome->end != vx::Outcome::End::kExited) run.failure = vx::Describe(*outcome, *program);
  const std::string difference = Difference(*outcome, expected, *program);
  if (!difference.empty()) run.failure = difference;
  if (run.output != here.output || run.diagnostics != here.diagnostics) {
    run.failure = "its output is not the translator's";
  }
  return run;
}

}  // namespace

GuestRun RunGuestOn(vx::Engine engine, vx::Placement placement, const std::string& guest,
                    const std::vector<std::string>& arguments, std::string_view input) {
  GuestRun run;
  ProgramOr program = Load(guest);
  if (!program.ok()) {
    run.failure = program.status().ToString();
    return run;
  }
  if (vx::testing::UsesMachine()) return RunOnMachine(guest, *program, arguments, input);
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
  vx::testing::StringIo io(input);
  vx::Outcome outcome = (*sandbox)->Run(io);
  run.exit_status = outcome.exit_status;
  run.output = std::move(io.output);
  run.diagnostics = std::move(io.diagnostics);
  if (outcome.end != vx::Outcome::End::kExited) run.failure = vx::Describe(outcome, **program);
  return run;
}

}  // namespace vxa::decoders
