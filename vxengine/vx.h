// vxengine's public interface: runs 32-bit x86 guest programs that can read their input, write
// their output and exit, and nothing more. The guest's side is told in vxengine/abi.h.
//
//   absl::StatusOr<std::shared_ptr<const vx::Program>> program = vx::Program::Load(elf_bytes);
//   absl::StatusOr<std::unique_ptr<vx::Sandbox>> sandbox =
//       vx::Sandbox::Create(*program, {.arguments = {"raw"}});
//   vx::Outcome outcome = (*sandbox)->Run(io);
#ifndef VXENGINE_VX_H_
#define VXENGINE_VX_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "vxengine/abi.h"
#include "vxengine/code_range.h"
#include "vxengine/machine/outcome.h"

namespace vx {

// Where a translated guest's 4 GiB lie.
enum class Placement : uint8_t {
  // Anywhere: any number of sandboxes, on any threads. Each holds 4 GiB of address space, and each
  // program some 16 GiB, of which little is ever touched.
  kShared,
  // At host addresses 0 to 4 GiB: a few percent faster, but for one sandbox of a process at a time,
  // which must be position-independent itself. Where they are taken, kShared takes its place.
  kExclusive,
};

// A guest program, checked and ready to run. Immutable: any number of sandboxes on any threads
// share one.
class Program {
 public:
  // Loads an ELF image as vxengine/abi.h wants it. INVALID_ARGUMENT names the field that is wrong
  // and its value, RESOURCE_EXHAUSTED if the host has too little memory for its code. The bytes are
  // copied.
  static absl::StatusOr<std::shared_ptr<const Program>> Load(std::string_view elf);

  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // "inflate_fast+0x1f2" for an address in a function that the image's symbol table names, else "".
  // The table is the image's own claim: for people to read, never to be trusted.
  std::string Symbolize(uint32_t address) const;

  // Translates and verifies what can be seen to be reached from the entry point: along direct
  // branches and calls, and by pointers in data and instructions. What a run needs beside it is
  // translated when it is needed, as ever. Bounded, whatever the image. Errors are those of a run's
  // translating.
  struct Mode {
    Profile profile = Profile::kVx2026;
    Placement placement = Placement::kShared;  // what sandboxes will get, not what they ask for
    bool count_instructions = false;           // or have a limit to them
  };
  absl::Status TranslateAhead(const Mode& mode) const;

  struct Rep;
  const Rep& rep() const { return *rep_; }

 private:
  explicit Program(std::unique_ptr<const Rep> rep);
  std::unique_ptr<const Rep> rep_;
};

inline constexpr uint64_t kUnlimited = UINT64_MAX;

// What a run may use at most. `memory` and `stack` are part of what a decode is a function of: the
// guest sees them. The others end the run and are never seen by the guest.
struct Limits {
  uint64_t memory =
      uint64_t{1} << 30;               // bytes of segments, stack and heap together, in whole pages
  uint32_t stack = VX_STACK_SIZE;      // bytes; less where the image leaves less
  uint64_t instructions = kUnlimited;  // as Counters::instructions counts
  uint64_t output = kUnlimited;  // bytes to descriptor 1; a write that would pass it moves nothing
  // Of the thread that runs the guest.
  std::chrono::nanoseconds cpu_time = std::chrono::nanoseconds::max();
  bool operator==(const Limits&) const = default;
};

enum class Engine : uint8_t {
  kInterpreter,  // portable, exact, slow
  kTranslator,   // to native code; x86-64 Linux only
};

#if defined(__x86_64__) && defined(__linux__)
inline constexpr Engine kDefaultEngine = Engine::kTranslator;
#else
inline constexpr Engine kDefaultEngine = Engine::kInterpreter;
#endif

// The host's side of a guest's descriptors. Called on the thread that runs the guest, one call at a
// time; blocking blocks the guest.
class Io {
 public:
  virtual ~Io() = default;

  // Reads up to buffer.size() > 0 bytes of input; the count, 0 at its end only. An error ends the
  // run.
  virtual absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) = 0;

  // Takes all of `bytes`, written to VX_FD_OUTPUT or VX_FD_DIAGNOSTICS (of the latter at most
  // VX_DIAGNOSTICS_KEPT bytes come here, the rest is swallowed). An error ends the run.
  virtual absl::Status Write(int fd, std::span<const uint8_t> bytes) = 0;
};

struct Options {
  Limits limits;
  Profile profile = Profile::kVx2026;
  Engine engine = kDefaultEngine;
  Placement placement = Placement::kShared;
  // Count instructions even if there is no limit to them. It costs the translator some speed.
  bool count_instructions = false;
  // argv[1] and on; INVALID_ARGUMENT for a NUL inside or too many bytes.
  std::vector<std::string> arguments;
};

// One run of a program, or several, one after the other. Run from one thread; Interrupt from any.
class Sandbox {
 public:
  // INVALID_ARGUMENT for arguments that can't be passed, RESOURCE_EXHAUSTED if the image and its
  // stack alone pass the memory limit.
  static absl::StatusOr<std::unique_ptr<Sandbox>> Create(std::shared_ptr<const Program> program,
                                                         Options options = {});
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // Runs the guest to its end. REQUIRES: called once, and once more after each Reset.
  Outcome Run(Io& io);

  // Makes it what Create would make with these limits and arguments and the other options as they
  // were, at less cost: memory, registers, counters, all is as if there had been no run. Errors are
  // Create's; after one, only another Reset is left. Not while it runs, or is interrupted.
  absl::Status Reset(Limits limits, const std::vector<std::string>& arguments);

  Engine engine() const;
  // What the sandbox got, which may not be what was asked for.
  Placement placement() const;

  // What translating the program has cost so far, by all its sandboxes.
  struct TranslationCost {
    uint64_t instructions = 0;        // of the guest, translated and verified
    std::chrono::nanoseconds time{};  // CPU time of the threads that did it
  };
  TranslationCost translation_cost() const;

  // Ends the run soon (within milliseconds of guest code; a blocked Io call is the caller's to
  // unblock), or keeps one from starting. Safe from any thread while the sandbox lives.
  void Interrupt();

 private:
  struct Rep;
  explicit Sandbox(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

// For a process that is about to lock itself in (vxengine/jail.h tells what then is left to it):
// installs signal handlers, reserves what the next sandbox that asks for the exclusive placement
// needs, and tells where its code will be. To be called once.
struct Prepared {
  CodeRange code;
  Placement placement = Placement::kExclusive;  // what that sandbox will get
};
absl::StatusOr<Prepared> PrepareExclusive();

// Names for people and for options: "vx-2026", "interpreter", "page fault", ...
std::string_view Name(Profile profile);
std::string_view Name(Engine engine);
std::string_view Name(Placement placement);
std::string_view Name(TrapCause cause);
std::string_view Name(Limit limit);

// The inverse: INVALID_ARGUMENT lists the names there are.
absl::StatusOr<Profile> ParseProfile(std::string_view name);
absl::StatusOr<Engine> ParseEngine(std::string_view name);
absl::StatusOr<Placement> ParsePlacement(std::string_view name);

// One line without newline, with symbols where the program has them:
// "trap: page fault reading 0x00000000 at eip 0x08048a12 (inflate_fast+0x1f2)".
std::string Describe(const Outcome& outcome, const Program& program);

// All of an Outcome as one JSON object on one line:
//   "end": "exited", "trapped", "limited", "interrupted", "host failed" or "engine failed";
//   then "exit_status" (a number); or "cause" and, for a page fault, "access" ("read", "write",
//   "fetch") and "address"; or "limit"; or "host_error"; nothing for "interrupted"; "registers":
//   "eax" to "edi", "eip", "eflags", "valid_flags", "mxcsr", "x87": {"control", "status", "tag",
//   "r": R0 to R7 as sign and exponent, then significand}, "xmm": XMM0 to XMM7; "counters":
//   "instructions", "bytes_in", "bytes_out", "peak_memory" (numbers).
// Addresses and registers are strings of hexadecimal digits, all of them, after "0x".
std::string ToJson(const Outcome& outcome);

}  // namespace vx

#endif  // VXENGINE_VX_H_
