#include "vxengine/machine/interpreter.h"

#include <algorithm>

#include "vxengine/machine/block_cache.h"
#include "vxengine/machine/cpu.h"

namespace vx {

struct Interpreter::State {
  State(Memory* memory, Registers* registers, Profile profile)
      : cpu(memory, registers, profile), blocks(memory, profile) {}

  void Begin(uint64_t budget);
  Stop End(uint64_t budget, Stop stop);
  Stop Loop();
  Stop One();
  Stop StopAt(const Instruction* instruction, const Instruction* end);

  Cpu cpu;
  BlockCache blocks;
  uint64_t counted = 0;
};

Interpreter::Interpreter(Memory* memory, Registers* registers, Profile profile)
    : state_(std::make_unique<State>(memory, registers, profile)) {}

Interpreter::~Interpreter() = default;

uint64_t Interpreter::instructions() const { return state_->counted; }

bool Interpreter::owes_unit() const { return state_->cpu.owes_unit; }

const Trap& Interpreter::trap() const { return state_->cpu.trap(); }

Interpreter::Stop Interpreter::Run(uint64_t budget) {
  state_->Begin(budget);
  return state_->End(budget, state_->Loop());
}

Interpreter::Stop Interpreter::Step(uint64_t budget) {
  state_->Begin(budget);
  return state_->End(budget, state_->One());
}

void Interpreter::State::Begin(uint64_t budget) {
  cpu.Enter();
  cpu.budget = budget;
  if (cpu.owes_unit && budget > 0) {
    cpu.owes_unit = false;
    --cpu.budget;
  }
}

Interpreter::Stop Interpreter::State::End(uint64_t budget, Stop stop) {
  cpu.Leave();
  counted += budget - cpu.budget;
  return stop;
}

Interpreter::Stop Interpreter::State::One() {
  if (cpu.budget == 0) return Stop::kBudget;
  // A unit is held back, so that a REPE or REPNE instruction that ends with the last one owes
  // nothing.
  const uint64_t held_back = cpu.budget > 1 ? 1 : 0;
  const Instruction* instruction = blocks.Find(cpu.eip, nullptr)->instructions;
  cpu.budget -= 1 + held_back;
  cpu.eip = instruction->next();
  Stop stop = Stop::kBudget;
  if (!ExecuteOne(cpu, *instruction)) stop = StopAt(instruction, instruction + 1);
  cpu.budget += held_back;
  if (cpu.owes_unit && held_back != 0) {
    cpu.owes_unit = false;
    --cpu.budget;
  }
  return stop;
}

// A block is paid for as a whole before it runs, and what a stop inside leaves undone is paid back.
// Where the budget is too small for all of it, as much as it reaches for runs.
Interpreter::Stop Interpreter::State::Loop() {
  Block* block = blocks.Find(cpu.eip, nullptr);
  while (block->count <= cpu.budget) {
    const Instruction* const first = block->instructions;
    cpu.budget -= block->count;
    cpu.eip = block->end;
    const Instruction* const stopped = first->handler(cpu, *first);
    if (stopped != nullptr) return StopAt(stopped, first + block->count);
    if (block->successors[0]->start == cpu.eip) {
      block = block->successors[0];
    } else if (block->successors[1]->start == cpu.eip) {
      block = block->successors[1];
    } else {
      block = blocks.Find(cpu.eip, block);
    }
  }
  const Instruction* instruction = block->instructions;
  for (; cpu.budget > 0; ++instruction) {
    --cpu.budget;
    if (!ExecuteOne(cpu, *instruction)) return StopAt(instruction, instruction + 1);
  }
  cpu.eip = instruction->eip;
  return Stop::kBudget;
}

// `instruction` stopped; those before `end` are paid for.
Interpreter::Stop Interpreter::State::StopAt(const Instruction* instruction,
                                             const Instruction* end) {
  cpu.budget += static_cast<uint64_t>(end - instruction);
  cpu.eip = instruction->eip;
  if (cpu.stop() == Stop::kSystemCall) {
    --cpu.budget;
    cpu.eip = instruction->next();
  } else if (cpu.stop() == Stop::kBudget && cpu.owes_unit) {
    cpu.eip = instruction->next();
  }
  return cpu.stop();
}

}  // namespace vx
