// What an author wants to know of a guest before he archives anything with it: whether it does the
// same on every engine, and again; whether it is right; what it costs; how it takes bad input.
#ifndef VXENGINE_CHECK_GUEST_H_
#define VXENGINE_CHECK_GUEST_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "vxengine/vx.h"

namespace vx {

// One run, with all that it wrote.
struct CheckedRun {
  Outcome outcome;
  std::string output, diagnostics;
  double seconds = 0;
};

// A way to run a program: an engine and a placement.
struct Way {
  std::string name;
  std::function<absl::StatusOr<CheckedRun>(const std::shared_ptr<const Program>& program,
                                           Options options, std::string_view input)>
      run;
};

// Those of this host. The first can always be had.
std::vector<Way> WaysOfThisHost();

struct CheckRequest {
  std::string_view elf;  // as loaded to `program`
  std::shared_ptr<const Program> program;
  std::string_view input;
  std::optional<std::string_view> expected;  // what must come out
  std::optional<Profile> profile;            // the smallest that is enough, if not given
  Options options;  // limits and arguments; the rest is the check's business
};

struct CheckReport {
  std::string text;  // lines for people; all that the guest says is escaped
  bool good = false;
};

// Runs the guest in every way, counted and not, on the input, then on parts of it and with an
// argument that it can't know. Where no limit of instructions is given, there is one of 10^11, and
// one of 1 GiB of output, that an endless guest runs into. REQUIRES: `ways` is not empty.
CheckReport CheckGuest(const CheckRequest& request, const std::vector<Way>& ways);

}  // namespace vx

#endif  // VXENGINE_CHECK_GUEST_H_
