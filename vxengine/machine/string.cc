// MOVS STOS LODS CMPS SCAS, alone and repeated. ESI and EDI are in the flat address space; DF tells
// the direction.
//
// A repeated instruction is done in steps of one iteration; between them all state is that of so
// many iterations, where it can fault or run out of its budget. Runs of MOVS and STOS within pages
// go quicker.

#include <algorithm>
#include <cstring>

#include "vxengine/machine/alu.h"
#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

void Advance(Cpu& cpu, Gpr pointer, uint32_t bytes) {
  cpu.gpr[pointer] += cpu.df() ? 0 - bytes : bytes;
}

// How many items of `size` bytes from the address on lie within its page, without one that crosses
// its end.
uint32_t ItemsInPage(uint32_t address, uint32_t size) {
  return (Memory::kPageSize - address % Memory::kPageSize) / size;
}

struct Movs {
  template <typename T>
  static bool Step(Cpu& cpu) {
    T value;
    if (!cpu.Load(cpu.gpr[kEsi], &value) || !cpu.Store(cpu.gpr[kEdi], value)) return false;
    Advance(cpu, kEsi, sizeof(T));
    Advance(cpu, kEdi, sizeof(T));
    return true;
  }

  // Does up to `count` iterations at once, and tells how many; 0 where Step has to do it.
  template <typename T>
  static uint32_t Run(Cpu& cpu, uint32_t count) {
    constexpr uint32_t kSize = sizeof(T);
    const uint32_t from = cpu.gpr[kEsi], to = cpu.gpr[kEdi];
    count = std::min({count, ItemsInPage(from, kSize), ItemsInPage(to, kSize)});
    if (cpu.df() || count == 0) return 0;
    // Writable first: it may move the page that is to be read.
    uint8_t* target = cpu.Writable(to);
    const uint8_t* source = cpu.Readable(from);
    if (target == nullptr || source == nullptr) return 0;
    const uint32_t bytes = count * kSize;
    if (to - from < bytes) {
      // Each item may be what one before it has written.
      for (uint32_t at = 0; at < bytes; at += kSize) {
        PutLittleEndian(target + at, GetLittleEndian<T>(source + at));
      }
    } else {
      std::memmove(target, source, bytes);
    }
    cpu.gpr[kEsi] += bytes;
    cpu.gpr[kEdi] += bytes;
    return count;
  }
};

struct Stos {
  template <typename T>
  static bool Step(Cpu& cpu) {
    if (!cpu.Store(cpu.gpr[kEdi], GetRegister<T>(cpu, kEax))) return false;
    Advance(cpu, kEdi, sizeof(T));
    return true;
  }

  template <typename T>
  static uint32_t Run(Cpu& cpu, uint32_t count) {
    constexpr uint32_t kSize = sizeof(T);
    const uint32_t to = cpu.gpr[kEdi];
    count = std::min(count, ItemsInPage(to, kSize));
    if (cpu.df() || count == 0) return 0;
    uint8_t* target = cpu.Writable(to);
    if (target == nullptr) return 0;
    const T value = GetRegister<T>(cpu, kEax);
    for (uint32_t n = 0; n < count; ++n) PutLittleEndian(target + n * kSize, value);
    cpu.gpr[kEdi] += count * kSize;
    return count;
  }
};

struct Lods {
  template <typename T>
  static bool Step(Cpu& cpu) {
    T value;
    if (!cpu.Load(cpu.gpr[kEsi], &value)) return false;
    SetRegister<T>(cpu, kEax, value);
    Advance(cpu, kEsi, sizeof(T));
    return true;
  }

  template <typename T>
  static uint32_t Run(Cpu&, uint32_t) {
    return 0;
  }
};

struct Cmps {
  template <typename T>
  static bool Step(Cpu& cpu) {
    T a, b;
    if (!cpu.Load(cpu.gpr[kEsi], &a) || !cpu.Load(cpu.gpr[kEdi], &b)) return false;
    Cmp::Do(cpu.flags, a, b);
    Advance(cpu, kEsi, sizeof(T));
    Advance(cpu, kEdi, sizeof(T));
    return true;
  }
};

struct Scas {
  template <typename T>
  static bool Step(Cpu& cpu) {
    T b;
    if (!cpu.Load(cpu.gpr[kEdi], &b)) return false;
    Cmp::Do(cpu.flags, GetRegister<T>(cpu, kEax), b);
    Advance(cpu, kEdi, sizeof(T));
    return true;
  }
};

template <typename Op, typename T>
bool Once(Cpu& cpu, const Instruction&) {
  return Op::template Step<T>(cpu);
}

// Until ECX is 0. The instruction itself is paid for already, which is a unit for one more
// iteration if there is none for its completion.
template <typename Op, typename T>
bool Repeat(Cpu& cpu, const Instruction&) {
  while (cpu.gpr[kEcx] != 0) {
    const uint32_t affordable =
        static_cast<uint32_t>(std::min<uint64_t>(cpu.gpr[kEcx], cpu.budget));
    uint32_t done = affordable == 0 ? 0 : Op::template Run<T>(cpu, affordable);
    if (done == 0) {
      if (!Op::template Step<T>(cpu)) return false;
      done = 1;
    }
    cpu.gpr[kEcx] -= done;
    cpu.budget -= done;
    if (affordable == 0) return cpu.StopFor(Interpreter::Stop::kBudget);
  }
  return true;
}

// Until ECX is 0 or ZF isn't `kZero` (any more).
template <typename Op, typename T, bool kZero>
bool RepeatWhile(Cpu& cpu, const Instruction&) {
  while (cpu.gpr[kEcx] != 0) {
    const bool last_unit = cpu.budget == 0;
    if (!Op::template Step<T>(cpu)) return false;
    --cpu.gpr[kEcx];
    --cpu.budget;
    const bool ended = cpu.flags.zf() != kZero;
    if (last_unit) {
      cpu.owes_unit = ended;
      return cpu.StopFor(Interpreter::Stop::kBudget);
    }
    if (ended) return true;
  }
  return true;
}

template <typename Op>
constexpr Family OnceFamily() {
  return {.reg = kHandlers<Once<Op, uint8_t>, Once<Op, uint16_t>, Once<Op, uint32_t>>};
}

// Without a prefix, with F3, with F2.
template <typename Op>
constexpr std::array<Family, 3> Plain() {
  constexpr Family kRepeat = {
      .reg = kHandlers<Repeat<Op, uint8_t>, Repeat<Op, uint16_t>, Repeat<Op, uint32_t>>};
  return {OnceFamily<Op>(), kRepeat, kRepeat};
}

template <typename Op, bool kZero>
constexpr Family RepeatWhileFamily() {
  return {.reg = kHandlers<RepeatWhile<Op, uint8_t, kZero>, RepeatWhile<Op, uint16_t, kZero>,
                           RepeatWhile<Op, uint32_t, kZero>>};
}

template <typename Op>
constexpr std::array<Family, 3> Comparing() {
  return {OnceFamily<Op>(), RepeatWhileFamily<Op, true>(), RepeatWhileFamily<Op, false>()};
}

}  // namespace

constinit const std::array<Family, 3> kMovs = Plain<Movs>();
constinit const std::array<Family, 3> kStos = Plain<Stos>();
constinit const std::array<Family, 3> kLods = Plain<Lods>();
constinit const std::array<Family, 3> kCmps = Comparing<Cmps>();
constinit const std::array<Family, 3> kScas = Comparing<Scas>();

}  // namespace vx
