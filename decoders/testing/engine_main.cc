// main() and RunGuest() of a test of guests: --engine=NAME and --placement=NAME say where they run,
// or --machine=EMULATOR:FILE (vxengine/testing/run_elf.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>

#include "absl/status/statusor.h"
#include "decoders/testing/run_guest_vx.h"
#include "vxengine/testing/run_elf.h"
#include "vxengine/vx.h"

namespace vxa::decoders {
namespace {

vx::Engine the_engine = vx::kDefaultEngine;
vx::Placement the_placement = vx::Placement::kShared;

template <typename T>
bool Set(const absl::StatusOr<T>& value, T* option) {
  if (value.ok()) *option = *value;
  return value.ok();
}

bool ParseFlag(std::string_view flag) {
  const size_t equals = flag.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = flag.substr(0, equals), value = flag.substr(equals + 1);
  if (name == "--engine") return Set(vx::ParseEngine(value), &the_engine);
  if (name == "--machine") {
    vx::testing::UseMachine(value);
    return true;
  }
  if (name == "--placement") return Set(vx::ParsePlacement(value), &the_placement);
  return false;
}

}  // namespace

GuestRun RunGuest(const std::string& guest, const std::vector<std::string>& arguments,
                  std::string_view input) {
  return RunGuestOn(the_engine, the_placement, guest, arguments, input);
}

}  // namespace vxa::decoders

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (vxa::decoders::ParseFlag(argv[i])) continue;
    std::fprintf(stderr, "%s: unknown flag or bad value\n", argv[i]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
