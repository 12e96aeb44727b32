// Host instructions as bytes: the few forms that the translator writes (Intel SDM vol. 2, chapter
// 2). A buffer of code that grows, and the encoding of operands. It knows nothing of guests.
#ifndef VXENGINE_TRANSLATOR_EMITTER_H_
#define VXENGINE_TRANSLATOR_EMITTER_H_

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>

namespace vx {

// Host registers by number, those with a part of their own; 0-3 and 5-7 hold the guest's registers
// of that number.
enum HostRegister : uint8_t {
  kHostEcx = 1,
  kHostEbp = 5,
  kR8 = 8,
  kR9 = 9,
  kR10 = 10,
  kR11 = 11,
  kHostEsp = 15,  // R15D: the guest's ESP
};

// A memory operand: 32-bit, base + (index << scale) + displacement.
struct HostMemory {
  static constexpr uint8_t kNone = 0xff;
  uint8_t base = kNone, index = kNone, scale = 0;
  uint32_t displacement = 0;
};

class Emitter {
 public:
  // `segment` is the prefix of every access to guest memory, or 0 for none.
  explicit Emitter(uint8_t segment) : segment_(segment) { Grow(); }

  uint32_t size() const { return static_cast<uint32_t>(at_ - bytes_.get()); }
  const uint8_t* data() const { return bytes_.get(); }
  void Clear() { at_ = bytes_.get(); }

  // Room for one guest instruction's code; to be called before each.
  void Reserve() {
    if (static_cast<uint32_t>(end_ - at_) < kRoom) Grow();
  }

  void Byte(uint8_t byte) { *at_++ = byte; }
  void Bytes(std::initializer_list<uint8_t> bytes) {
    for (uint8_t byte : bytes) Byte(byte);
  }
  void Patch(uint32_t offset, uint8_t byte) { bytes_[offset] = byte; }
  void Word(uint32_t word) {
    std::memcpy(at_, &word, 4);
    at_ += 4;
  }
  void Immediate(uint32_t value, unsigned size) {
    std::memcpy(at_, &value, 4);
    at_ += size;
  }

  // The parts of an instruction before its operands.
  struct Head {
    uint8_t mandatory = 0;  // 66, F2 or F3, or 0
    bool two_byte = false;
    uint8_t opcode = 0;
  };

  // With a register in ModRM.rm. Numbers are 0-15; 4 of the registers is never RSP, but AH's
  // encoding or XMM4.
  void RegisterForm(Head head, unsigned reg, unsigned rm) {
    Prefixes(head);
    Rex(reg >= 8, false, rm >= 8);
    Opcode(head);
    Byte(static_cast<uint8_t>(0xc0 | (reg & 7) << 3 | (rm & 7)));
  }

  // With guest memory in ModRM.rm.
  void MemoryForm(Head head, unsigned reg, const HostMemory& memory) {
    if (segment_ != 0) Byte(segment_);
    Byte(0x67);
    AddressForm(head, reg, memory);
  }

  // With an address in ModRM.rm that isn't accessed: LEA.
  void AddressForm(Head head, unsigned reg, const HostMemory& memory) {
    Prefixes(head);
    const bool has_base = memory.base != HostMemory::kNone;
    const bool has_index = memory.index != HostMemory::kNone;
    Rex(reg >= 8, has_index && memory.index >= 8, has_base && memory.base >= 8);
    Opcode(head);
    const uint8_t reg_bits = static_cast<uint8_t>((reg & 7) << 3);
    if (!has_base) {
      Byte(reg_bits | 4);
      Byte(static_cast<uint8_t>(memory.scale << 6 | (has_index ? memory.index & 7 : 4) << 3 | 5));
      Word(memory.displacement);
      return;
    }
    const int32_t displacement = static_cast<int32_t>(memory.displacement);
    const bool small = displacement >= -128 && displacement < 128;
    const unsigned mod = displacement == 0 && (memory.base & 7) != 5 ? 0 : small ? 1 : 2;
    if (has_index) {
      Byte(static_cast<uint8_t>(mod << 6 | reg_bits | 4));
      Byte(static_cast<uint8_t>(memory.scale << 6 | (memory.index & 7) << 3 | (memory.base & 7)));
    } else {
      Byte(static_cast<uint8_t>(mod << 6 | reg_bits | (memory.base & 7)));
    }
    if (mod == 1) Byte(static_cast<uint8_t>(displacement));
    if (mod == 2) Word(memory.displacement);
  }

  void MovImmediate(unsigned reg, uint32_t value) {  // 32 bits
    Rex(false, false, reg >= 8);
    Byte(static_cast<uint8_t>(0xb8 | (reg & 7)));
    Word(value);
  }
  void SetOverflow(unsigned reg) {  // SETO, of a low byte
    RegisterForm({.two_byte = true, .opcode = 0x90}, 0, reg);
  }
  void Mov(unsigned to, unsigned from) { RegisterForm({.opcode = 0x89}, from, to); }
  void Load(unsigned to, const HostMemory& from) { MemoryForm({.opcode = 0x8b}, to, from); }
  void Store(const HostMemory& to, unsigned from) { MemoryForm({.opcode = 0x89}, from, to); }
  void StoreImmediate(const HostMemory& to, uint32_t value) {
    MemoryForm({.opcode = 0xc7}, 0, to);
    Word(value);
  }
  void Lea(unsigned to, const HostMemory& address) { AddressForm({.opcode = 0x8d}, to, address); }

 private:
  static constexpr uint32_t kRoom = 256;

  void Prefixes(const Head& head) {
    if (head.mandatory != 0) Byte(head.mandatory);
  }
  void Opcode(const Head& head) {
    if (head.two_byte) Byte(0x0f);
    Byte(head.opcode);
  }
  void Rex(bool r, bool x, bool b) {
    if (r || x || b) Byte(static_cast<uint8_t>(0x40 | r << 2 | x << 1 | b));
  }
  void Grow() {
    const size_t used = bytes_ ? size() : 0, capacity = used * 2 + 16 * kRoom;
    auto bytes = std::make_unique<uint8_t[]>(capacity);
    if (used != 0) std::memcpy(bytes.get(), bytes_.get(), used);
    bytes_ = std::move(bytes);
    at_ = bytes_.get() + used;
    end_ = bytes_.get() + capacity;
  }

  const uint8_t segment_;
  std::unique_ptr<uint8_t[]> bytes_;
  uint8_t* at_ = nullptr;
  uint8_t* end_ = nullptr;
};

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_EMITTER_H_
