// The portable engine: interprets guest instructions one by one, with exact flags and precise
// traps, on any host. It knows memory and registers only; system calls, limits and input and output
// are its caller's.
//
// Executable pages are fixed at load, so decoded basic blocks are kept for the interpreter's life.
// Not thread-safe.
#ifndef VXENGINE_MACHINE_INTERPRETER_H_
#define VXENGINE_MACHINE_INTERPRETER_H_

#include <cstdint>
#include <memory>

#include "vxengine/machine/memory.h"
#include "vxengine/machine/outcome.h"

namespace vx {

class Interpreter {
 public:
  enum class Stop : uint8_t {
    kBudget,      // `budget` is used up
    kSystemCall,  // a SYSCALL instruction completed: EIP is behind it, EAX holds the call's number
    kTrap,  // trap() tells; EIP is the faulting instruction's, all else as before it, but that
            // MXCSR has the exceptions of a kSimdError
  };

  // Both outlive the interpreter.
  Interpreter(Memory* memory, Registers* registers, Profile profile);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Runs until something stops it or exactly `budget` more units are counted: one for each
  // completed instruction, and one for each iteration of a REP instruction, inside which the budget
  // can end too (EIP then is still the REP instruction's and the registers tell how far it came;
  // running on continues it. Only after an iteration that ends a REPE or REPNE it is behind it; its
  // own unit is then the next to count). The registers are exact at every stop.
  Stop Run(uint64_t budget);

  // Runs one instruction, or of a REP instruction as many iterations as `budget` > 0 has units for:
  // kBudget if nothing else stops it. For engines that leave single instructions to this one.
  Stop Step(uint64_t budget);

  // Units counted since construction.
  uint64_t instructions() const;

  // True if the last Run stopped behind a REPE or REPNE whose own unit is the next to be counted.
  bool owes_unit() const;

  // REQUIRES: the last Run stopped with kTrap.
  const Trap& trap() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vx

#endif  // VXENGINE_MACHINE_INTERPRETER_H_
