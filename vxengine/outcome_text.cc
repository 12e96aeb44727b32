// Names, one-line descriptions and JSON for what vx.h returns.

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "vxengine/vx.h"

namespace vx {
namespace {

template <typename Enum>
struct Named {
  Enum value;
  std::string_view name;
};

constexpr Named<Profile> kProfiles[] = {{Profile::kVx2026, "vx-2026"},
                                        {Profile::kVx2026Int, "vx-2026-int"}};
constexpr Named<Engine> kEngines[] = {{Engine::kInterpreter, "interpreter"},
                                      {Engine::kTranslator, "translator"}};
constexpr Named<Placement> kPlacements[] = {{Placement::kShared, "shared"},
                                            {Placement::kExclusive, "exclusive"}};
constexpr Named<TrapCause> kTrapCauses[] = {
    {TrapCause::kPageFault, "page fault"},
    {TrapCause::kGeneralProtection, "general protection"},
    {TrapCause::kInvalidOpcode, "invalid opcode"},
    {TrapCause::kDivideError, "divide error"},
    {TrapCause::kX87Error, "x87 error"},
    {TrapCause::kSimdError, "SIMD error"},
    {TrapCause::kBreakpoint, "breakpoint"},
    {TrapCause::kOverflow, "overflow"},
    {TrapCause::kBoundRange, "bound range"},
};
constexpr Named<Access> kAccesses[] = {
    {Access::kRead, "read"}, {Access::kWrite, "write"}, {Access::kFetch, "fetch"}};
constexpr Named<Limit> kLimits[] = {{Limit::kInstructions, "instructions"},
                                    {Limit::kOutput, "output"},
                                    {Limit::kCpuTime, "CPU time"}};
constexpr Named<Outcome::End> kEnds[] = {
    {Outcome::End::kExited, "exited"},          {Outcome::End::kTrapped, "trapped"},
    {Outcome::End::kLimited, "limited"},        {Outcome::End::kInterrupted, "interrupted"},
    {Outcome::End::kHostFailed, "host failed"}, {Outcome::End::kEngineFailed, "engine failed"},
};

template <typename Enum, size_t n>
std::string_view NameIn(const Named<Enum> (&table)[n], Enum value) {
  for (const Named<Enum>& row : table) {
    if (row.value == value) return row.name;
  }
  return "unknown";
}

template <typename Enum, size_t n>
absl::StatusOr<Enum> ParseIn(const Named<Enum> (&table)[n], std::string_view what,
                             std::string_view name) {
  std::string names;
  for (const Named<Enum>& row : table) {
    if (row.name == name) return row.value;
    absl::StrAppendFormat(&names, "%s%s", names.empty() ? "" : ", ", row.name);
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("there is no %s \"%s\"; there are: %s", what, name, names));
}

std::string_view Gerund(Access access) {
  switch (access) {
    case Access::kRead:
      return "reading";
    case Access::kWrite:
      return "writing";
    case Access::kFetch:
      return "fetching";
  }
  return "accessing";
}

// Bytes of the UTF-8 sequence (RFC 3629, section 4) that `s` starts with; 0 if it starts with none.
size_t Utf8Length(std::string_view s) {
  const auto byte = [&s](size_t i) -> unsigned { return static_cast<unsigned char>(s[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || s.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) >> 6 != 2) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
  const bool too_high = lead == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || too_high ? 0 : length;
}

// A JSON string; bytes that aren't UTF-8 become U+FFFD.
std::string Quote(std::string_view s) {
  std::string quoted = "\"";
  while (!s.empty()) {
    const size_t length = Utf8Length(s);
    const unsigned char c = s[0];
    if (length == 0) {
      quoted += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += s[0];
    } else if (c < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&quoted, "\\u%04x", c);
    } else {
      quoted += s.substr(0, length);
    }
    s.remove_prefix(length == 0 ? 1 : length);
  }
  return quoted + "\"";
}

std::string Hex32(uint32_t value) { return absl::StrFormat("\"0x%08x\"", value); }

std::string RegistersJson(const Registers& registers, uint32_t valid_flags) {
  constexpr std::string_view kNames[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
  std::string json = "{";
  for (size_t i = 0; i < registers.gpr.size(); ++i) {
    absl::StrAppendFormat(&json, "\"%s\":%s,", kNames[i], Hex32(registers.gpr[i]));
  }
  absl::StrAppend(&json, "\"eip\":", Hex32(registers.eip), ",\"eflags\":", Hex32(registers.eflags),
                  ",\"valid_flags\":", Hex32(valid_flags));
  const X87State& x87 = registers.x87;
  absl::StrAppendFormat(&json,
                        ",\"x87\":{\"control\":\"0x%04x\",\"status\":\"0x%04x\","
                        "\"tag\":\"0x%04x\",\"r\":[",
                        x87.control, x87.status, x87.tag);
  for (size_t i = 0; i < x87.reg.size(); ++i) {
    absl::StrAppendFormat(&json, "%s\"0x%04x%016x\"", i == 0 ? "" : ",", x87.reg[i].sign_exponent,
                          x87.reg[i].significand);
  }
  json += "]},\"xmm\":[";
  for (size_t i = 0; i < registers.xmm.size(); ++i) {
    absl::StrAppendFormat(&json, "%s\"0x%016x%016x\"", i == 0 ? "" : ",", registers.xmm[i].lane[1],
                          registers.xmm[i].lane[0]);
  }
  absl::StrAppend(&json, "],\"mxcsr\":", Hex32(registers.mxcsr), "}");
  return json;
}

// The members that only one `end` has, each with a comma behind it.
std::string EndJson(const Outcome& outcome) {
  switch (outcome.end) {
    case Outcome::End::kExited:
      return absl::StrCat("\"exit_status\":", outcome.exit_status, ",");
    case Outcome::End::kTrapped: {
      std::string json = absl::StrCat("\"cause\":", Quote(Name(outcome.trap.cause)), ",");
      if (outcome.trap.cause == TrapCause::kPageFault) {
        absl::StrAppend(&json, "\"access\":", Quote(NameIn(kAccesses, outcome.trap.access)),
                        ",\"address\":", Hex32(outcome.trap.address), ",");
      }
      return json;
    }
    case Outcome::End::kLimited:
      return absl::StrCat("\"limit\":", Quote(Name(outcome.limit)), ",");
    case Outcome::End::kHostFailed:
    case Outcome::End::kEngineFailed:
      return absl::StrCat("\"host_error\":", Quote(outcome.host_error), ",");
    case Outcome::End::kInterrupted:
      break;
  }
  return "";
}

}  // namespace

std::string_view Name(Profile profile) { return NameIn(kProfiles, profile); }
std::string_view Name(Engine engine) { return NameIn(kEngines, engine); }
std::string_view Name(Placement placement) { return NameIn(kPlacements, placement); }
std::string_view Name(TrapCause cause) { return NameIn(kTrapCauses, cause); }
std::string_view Name(Limit limit) { return NameIn(kLimits, limit); }

absl::StatusOr<Profile> ParseProfile(std::string_view name) {
  return ParseIn(kProfiles, "profile", name);
}

absl::StatusOr<Engine> ParseEngine(std::string_view name) {
  return ParseIn(kEngines, "engine", name);
}

absl::StatusOr<Placement> ParsePlacement(std::string_view name) {
  return ParseIn(kPlacements, "placement", name);
}

std::string Describe(const Outcome& outcome, const Program& program) {
  std::string at = absl::StrFormat("at eip 0x%08x", outcome.registers.eip);
  const std::string symbol = program.Symbolize(outcome.registers.eip);
  if (!symbol.empty()) absl::StrAppend(&at, " (", symbol, ")");
  switch (outcome.end) {
    case Outcome::End::kExited:
      return absl::StrCat("exit status ", outcome.exit_status);
    case Outcome::End::kTrapped:
      if (outcome.trap.cause == TrapCause::kPageFault) {
        return absl::StrFormat("trap: page fault %s 0x%08x %s", Gerund(outcome.trap.access),
                               outcome.trap.address, at);
      }
      return absl::StrFormat("trap: %s %s", Name(outcome.trap.cause), at);
    case Outcome::End::kLimited:
      return absl::StrFormat(
          "limit: %s after %s%d bytes of output, %s", Name(outcome.limit),
          outcome.counters.instructions == 0
              ? ""
              : absl::StrCat(outcome.counters.instructions, " instructions and "),
          outcome.counters.bytes_out, at);
    case Outcome::End::kInterrupted:
      return absl::StrCat("interrupted ", at);
    case Outcome::End::kHostFailed:
      return absl::StrCat("host: ", outcome.host_error);
    case Outcome::End::kEngineFailed:
      return absl::StrCat("internal error: ", outcome.host_error);
  }
  return "unknown end";
}

std::string ToJson(const Outcome& outcome) {
  const Counters& counters = outcome.counters;
  return absl::StrCat("{\"end\":", Quote(NameIn(kEnds, outcome.end)), ",", EndJson(outcome),
                      "\"registers\":", RegistersJson(outcome.registers, outcome.valid_flags),
                      ",\"counters\":{\"instructions\":", counters.instructions,
                      ",\"bytes_in\":", counters.bytes_in, ",\"bytes_out\":", counters.bytes_out,
                      ",\"peak_memory\":", counters.peak_memory, "}}");
}

}  // namespace vx
