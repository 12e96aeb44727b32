// An instruction is (Intel SDM vol. 2A, 2.1): prefixes, opcode of one byte or of 0F and one more,
// ModRM, SIB, displacement of 1 or 4 bytes, immediate.

#include "vxengine/machine/decoder.h"

#include "vxengine/machine/families.h"
#include "vxengine/machine/opcodes.h"

namespace vx {
namespace {

class Decoder {
 public:
  Decoder(std::span<const uint8_t> bytes, uint32_t eip, Profile profile, Instruction* result)
      : bytes_(bytes), profile_(profile), i_(result) {
    *i_ = Instruction();
    i_->eip = eip;
  }

  bool Decode() {
    if (!ReadPrefixes() || !ReadOpcode() || !ReadModRm() || !ReadImmediate() || !CheckLock()) {
      i_->handler = trap_->reg[0];
      i_->length = 0;
      return true;
    }
    i_->length = static_cast<uint8_t>(at_);
    if (opcode_.format & kRelative) i_->immediate += i_->next();
    if (opcode_.format & kString && repeat_ != Mandatory::kNone) return true;
    return (opcode_.format & (kBranch | kEndsBlock)) != 0;
  }

 private:
  // All false: the instruction traps.
  bool Trap(const Family& trap) {
    trap_ = &trap;
    return false;
  }

  bool ReadByte(uint8_t* byte) {
    if (at_ < bytes_.size()) {
      *byte = bytes_[at_++];
      return true;
    }
    if (bytes_.size() >= kMaxInstructionLength) return Trap(kGeneralProtection);
    i_->immediate = i_->eip + static_cast<uint32_t>(bytes_.size());
    return Trap(kFetchFault);
  }

  // `size` bytes, sign-extended.
  bool ReadInteger(unsigned size, uint32_t* value) {
    uint32_t result = 0;
    uint8_t byte = 0;
    for (unsigned n = 0; n < size; ++n) {
      if (!ReadByte(&byte)) return false;
      result |= uint32_t{byte} << (8 * n);
    }
    if (size < 4 && byte >= 0x80) result |= ~0u << (8 * size);
    *value = result;
    return true;
  }

  // Leaves the first byte that is none in `byte_`.
  bool ReadPrefixes() {
    while (ReadByte(&byte_)) {
      switch (byte_) {
        case 0x26:  // ES
        case 0x2e:  // CS
        case 0x36:  // SS
        case 0x3e:  // DS, notrack
          break;
        case 0x64:  // FS
        case 0x65:  // GS
        case 0x67:  // 16-bit addresses
          return Trap(kInvalidOpcode);
        case 0x66:
          operand_size_ = true;
          break;
        case 0xf0:
          lock_ = true;
          break;
        case 0xf2:
          repeat_ = Mandatory::kF2;
          break;
        case 0xf3:
          repeat_ = Mandatory::kF3;
          break;
        default:
          return true;
      }
    }
    return false;
  }

  bool ReadOpcode() {
    code_ = byte_;
    if (code_ == 0x0f) {
      if (!ReadByte(&byte_)) return false;
      code_ = kTwoByte + byte_;
    }
    mandatory_ = repeat_;
    if (mandatory_ == Mandatory::kNone && operand_size_) mandatory_ = Mandatory::k66;
    opcode_ = FindOpcode(mandatory_, code_, 0);
    has_modrm_ = (opcode_.format & kModRm) != 0;
    if (!has_modrm_) {
      if (opcode_.format & kOpcodeRegister) i_->rm = byte_ & 7;
      memory_ = (opcode_.format & kMemoryOffset) != 0;
      return ChooseHandler();
    }
    return true;
  }

  bool ChooseHandler() {
    if (opcode_.family == nullptr) return Trap(kInvalidOpcode);
    if (opcode_.format & kString) opcode_.family += RepeatIndex();
    if (opcode_.format & kBranch && operand_size_) return Trap(kInvalidOpcode);
    if (opcode_.format & kFloatingState && profile_ == Profile::kVx2026Int) {
      return Trap(kInvalidOpcode);
    }
    const unsigned size = opcode_.format & kByte ? 0 : operand_size_ ? 1 : 2;
    i_->handler = memory_ ? opcode_.family->mem[size] : opcode_.family->reg[size];
    return i_->handler != nullptr || Trap(kInvalidOpcode);
  }

  unsigned RepeatIndex() const {
    return repeat_ == Mandatory::kF3 ? 1 : repeat_ == Mandatory::kF2 ? 2 : 0;
  }

  bool ReadModRm() {
    if (!has_modrm_) {
      return !memory_ || ReadInteger(4, &i_->displacement);
    }
    if (!ReadByte(&byte_)) return false;
    const unsigned mod = byte_ >> 6, rm = byte_ & 7;
    i_->reg = byte_ >> 3 & 7;
    i_->rm = static_cast<uint8_t>(rm);
    memory_ = mod != 3;
    if (!memory_ && (code_ & ~7u) == 0xd8) {
      opcode_ = FindOpcode(Mandatory::kNone, kX87Register + (code_ & 7) * 8 + i_->reg, rm);
    } else {
      opcode_ = FindOpcode(mandatory_, code_, i_->reg);
    }
    return ChooseHandler() && (!memory_ || ReadAddress(mod, rm));
  }

  // Intel SDM vol. 2A, tables 2-2 and 2-3.
  bool ReadAddress(unsigned mod, unsigned rm) {
    unsigned base = rm;
    if (rm == kEsp) {
      if (!ReadByte(&byte_)) return false;
      base = byte_ & 7;
      const unsigned index = byte_ >> 3 & 7;
      if (index != kEsp) {
        i_->index = static_cast<uint8_t>(index);
        i_->scale = byte_ >> 6;
      }
    }
    if (mod == 0 && base == kEbp) return ReadInteger(4, &i_->displacement);
    i_->base = static_cast<uint8_t>(base);
    if (mod == 0) return true;
    return ReadInteger(mod == 1 ? 1 : 4, &i_->displacement);
  }

  bool ReadImmediate() {
    if (opcode_.format & kImmediate16) {
      if (!ReadInteger(2, &i_->immediate)) return false;
      i_->immediate &= 0xffff;
      uint32_t more = 0;
      if (opcode_.format & kImmediate8 && !ReadInteger(1, &more)) return false;
      i_->immediate |= (more & 0xff) << 16;
      return true;
    }
    if (opcode_.format & kImmediate8) return ReadInteger(1, &i_->immediate);
    if (opcode_.format & kImmediateZ) return ReadInteger(operand_size_ ? 2 : 4, &i_->immediate);
    return true;
  }

  // Only once all bytes have been fetched: what is too long, or can't be fetched, comes first.
  bool CheckLock() {
    return !lock_ || (memory_ && opcode_.family->lockable) || Trap(kInvalidOpcode);
  }

  const std::span<const uint8_t> bytes_;
  const Profile profile_;
  Instruction* const i_;
  size_t at_ = 0;
  uint8_t byte_ = 0;  // the one read last
  bool operand_size_ = false;
  bool lock_ = false;
  Mandatory repeat_ = Mandatory::kNone;  // F3 or F2
  Mandatory mandatory_ = Mandatory::kNone;
  unsigned code_ = 0;  // the opcode's, as FindOpcode takes it
  bool has_modrm_ = false;
  bool memory_ = false;  // there is a memory operand
  Opcode opcode_;
  const Family* trap_ = nullptr;
};

}  // namespace

bool Decode(std::span<const uint8_t> bytes, uint32_t eip, Profile profile, Instruction* result) {
  return Decoder(bytes, eip, profile, result).Decode();
}

}  // namespace vx
