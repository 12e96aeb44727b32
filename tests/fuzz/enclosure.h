// Runs host code the way that translated code is run, in a child process, and tells whether it kept
// to what vxengine/verifier.h promises of code that it admits.
//
// The child is full of traps. Beside the guest's memory lie twins of it, where an operand ends that
// forgets a prefix: registers have upper halves that no guest can give them. What the code has
// written is seen in the twins, the context, the table of entries, the stack of return addresses;
// what it has read, by running it twice from the same state beside other secrets: all that the
// guest sees must be the same. The rest of the address space isn't mapped, so whatever goes there,
// and whatever an instruction is that ends in the wrong signal, arrives at a handler that tells. A
// system call does too, by a seccomp filter that looks where it came from.
//
// The runtime's routines and the signal handlers are the engine's own.
#ifndef TESTS_FUZZ_ENCLOSURE_H_
#define TESTS_FUZZ_ENCLOSURE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "vxengine/verifier.h"

namespace vxa::fuzz {

// What may lie outside of a region: the runtime's routines, and no other region.
vx::VerifierRules RulesFor(vx::CodePlacement placement);

// The code with a way out behind it: mov r8d, Enclosure::kText; jmp miss.
std::vector<uint8_t> WithExit(std::vector<uint8_t> code);

class Enclosure {
 public:
  // Where a region lies, counted from the start of the code, and how long it may be.
  static constexpr uint32_t kOffset = 0x10000, kMostCode = 0x4000;
  // Guest addresses that lead to code: the table of entries has the region's boundaries, over and
  // over.
  static constexpr uint32_t kText = 0x08048000, kTextSize = 0x1000;
  // Guest memory that can be written.
  static constexpr uint32_t kData = 0x40000000, kDataSize = 0x4000;

  struct Region {
    vx::CodePlacement placement = vx::CodePlacement::kExclusive;
    std::vector<uint8_t> code;
    std::vector<uint32_t> boundaries;  // where it may be entered: at least one
  };

  Enclosure() = default;
  ~Enclosure() { Kill(); }
  Enclosure(const Enclosure&) = delete;
  Enclosure& operator=(const Enclosure&) = delete;

  // Runs it from some of its boundaries, in states that follow from `seed`. Empty if it stayed
  // inside, else what it did, for people.
  std::string Run(const Region& region, uint32_t seed);

 private:
  void Start();
  void Kill();

  pid_t child_ = 0;
  int to_child_ = -1, from_child_ = -1;
};

}  // namespace vxa::fuzz

#endif  // TESTS_FUZZ_ENCLOSURE_H_
