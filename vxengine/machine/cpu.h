// The interpreter's view of a guest while it runs: registers, flags, a way to memory, and why it
// stopped.
#ifndef VXENGINE_MACHINE_CPU_H_
#define VXENGINE_MACHINE_CPU_H_

#include <array>
#include <cstdint>
#include <utility>

#include "vxengine/machine/flags.h"
#include "vxengine/machine/interpreter.h"
#include "vxengine/machine/memory.h"
#include "vxengine/machine/outcome.h"

namespace vx {

// Little-endian integers at host pointers; compilers make single moves of these where they can, but
// not always of a loop over the bytes.
template <typename T>
T GetLittleEndian(const uint8_t* p) {
  return [p]<size_t... kByte>(std::index_sequence<kByte...>) {
    return static_cast<T>((... | (T{p[kByte]} << (8 * kByte))));
  }
  (std::make_index_sequence<sizeof(T)>());
}

template <typename T>
void PutLittleEndian(uint8_t* p, T value) {
  [ p, value ]<size_t... kByte>(std::index_sequence<kByte...>) {
    (..., (p[kByte] = static_cast<uint8_t>(value >> (8 * kByte))));
  }
  (std::make_index_sequence<sizeof(T)>());
}

template <>
inline Xmm GetLittleEndian<Xmm>(const uint8_t* p) {
  return {{GetLittleEndian<uint64_t>(p), GetLittleEndian<uint64_t>(p + 8)}};
}

template <>
inline void PutLittleEndian<Xmm>(uint8_t* p, Xmm value) {
  PutLittleEndian(p, value.lane[0]);
  PutLittleEndian(p + 8, value.lane[1]);
}

class Cpu {
 public:
  Cpu(Memory* memory, Registers* registers, Profile profile);

  // Takes the integer state from the registers, and gives it back. XMM, MXCSR and x87 are always
  // theirs.
  void Enter();
  void Leave();

  Memory& memory() { return *memory_; }
  Profile profile() const { return profile_; }
  std::array<Xmm, 8>& xmm() { return registers_->xmm; }
  uint32_t& mxcsr() { return registers_->mxcsr; }
  X87State& x87() { return registers_->x87; }

  // EFLAGS as PUSHF shows it, and as POPF takes it.
  uint32_t eflags() const { return VX_INITIAL_EFLAGS | flags.Get() | system_flags_; }
  void set_eflags(uint32_t eflags) {
    flags.Set(eflags);
    system_flags_ = eflags & (kDf | kId);
  }
  bool df() const { return (system_flags_ & kDf) != 0; }
  void set_df(bool df) { system_flags_ = df ? system_flags_ | kDf : system_flags_ & ~kDf; }

  // A quick access is false where it isn't one within a page that is at hand, and raises nothing.
  enum Effort { kWhole, kQuick };

  // Little-endian integers of 8 to 64 bits, or a whole Xmm, at any alignment. False: a page fault
  // has been raised, and nothing stored.
  template <typename T, Effort kEffort = kWhole>
  bool Load(uint32_t address, T* value);
  template <typename T, Effort kEffort = kWhole>
  bool Store(uint32_t address, T value);

  // Replaces the integer by f(integer): a read-modify-write, whose faults are those of a write.
  template <typename T, Effort kEffort = kWhole, typename F>
  bool Modify(uint32_t address, F f);

  // Raises a page fault at the first byte that may not be read or written, if there is one.
  bool CheckRead(uint32_t address, uint32_t size);
  bool CheckWrite(uint32_t address, uint32_t size);

  // A host pointer to the guest's byte, good up to the end of its page; nullptr if it faults, with
  // nothing raised.
  const uint8_t* Readable(uint32_t address);
  uint8_t* Writable(uint32_t address);

  // Set the reason to stop; always false, for handlers to return.
  bool Raise(TrapCause cause);
  bool RaisePageFault(Access access, uint32_t address);
  bool StopFor(Interpreter::Stop stop);

  Interpreter::Stop stop() const { return stop_; }
  const Trap& trap() const { return trap_; }

  std::array<uint32_t, 9> gpr{};  // by Gpr; [kNoRegister] is always 0
  Flags flags;
  uint32_t eip = 0;  // where the block that runs goes on: branches set it

  // Units left when all that is planned is done: the block that runs is paid for. REP instructions
  // take their iterations from it.
  uint64_t budget = 0;

  // An iteration ended a REPE or REPNE instruction with the last unit: one for its completion is
  // still to be counted.
  bool owes_unit = false;

 private:
  // Pointers to guest pages, direct-mapped by page number.
  template <typename Byte>
  class PageCache {
   public:
    // The bytes from the address on, if its page is there and has so many; else nullptr.
    Byte* Find(uint32_t address, uint32_t size) const {
      const Entry& entry = entries_[Index(address)];
      const uint64_t offset = address - entry.address;
      return offset <= Memory::kPageSize - size ? entry.bytes + offset : nullptr;
    }
    void Put(uint32_t address, Byte* bytes) {
      entries_[Index(address)] = {address - address % Memory::kPageSize, bytes};
    }
    void Clear() { entries_.fill(Entry()); }

   private:
    static constexpr uint32_t kEntries = 256;
    struct Entry {
      uint64_t address = UINT64_MAX / 2;  // the page's; at first far from all
      Byte* bytes = nullptr;
    };
    static uint32_t Index(uint32_t address) { return address / Memory::kPageSize % kEntries; }

    std::array<Entry, kEntries> entries_;
  };

  void ForgetPages();
  const uint8_t* FindReadable(uint32_t address);
  uint8_t* FindWritable(uint32_t address);
  template <typename T>
  bool LoadSlowly(uint32_t address, T* value);
  template <typename T>
  bool StoreSlowly(uint32_t address, T value);
  template <typename T>
  bool LoadToModify(uint32_t address, T* value);

  Memory* const memory_;
  Registers* const registers_;
  const Profile profile_;
  uint32_t system_flags_ = 0;  // DF and ID
  Interpreter::Stop stop_ = Interpreter::Stop::kBudget;
  Trap trap_;

  // Good while the memory's generation stays.
  uint64_t generation_ = 0;
  PageCache<const uint8_t> readable_;
  PageCache<uint8_t> writable_;
};

inline const uint8_t* Cpu::Readable(uint32_t address) {
  const uint8_t* bytes = readable_.Find(address, 1);
  return bytes != nullptr ? bytes : FindReadable(address);
}

inline uint8_t* Cpu::Writable(uint32_t address) {
  uint8_t* bytes = writable_.Find(address, 1);
  return bytes != nullptr ? bytes : FindWritable(address);
}

template <typename T, Cpu::Effort kEffort>
inline bool Cpu::Load(uint32_t address, T* value) {
  const uint8_t* bytes = readable_.Find(address, sizeof(T));
  if (bytes == nullptr) [[unlikely]]
    return kEffort == kWhole && LoadSlowly(address, value);
  *value = GetLittleEndian<T>(bytes);
  return true;
}

template <typename T, Cpu::Effort kEffort>
inline bool Cpu::Store(uint32_t address, T value) {
  uint8_t* bytes = writable_.Find(address, sizeof(T));
  if (bytes == nullptr) [[unlikely]]
    return kEffort == kWhole && StoreSlowly(address, value);
  PutLittleEndian<T>(bytes, value);
  return true;
}

template <typename T, Cpu::Effort kEffort, typename F>
inline bool Cpu::Modify(uint32_t address, F f) {
  uint8_t* bytes = writable_.Find(address, sizeof(T));
  if (bytes == nullptr) [[unlikely]] {
    T value;
    return kEffort == kWhole && LoadToModify(address, &value) && StoreSlowly(address, f(value));
  }
  PutLittleEndian<T>(bytes, f(GetLittleEndian<T>(bytes)));
  return true;
}

}  // namespace vx

#endif  // VXENGINE_MACHINE_CPU_H_
