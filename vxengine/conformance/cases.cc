// Cases from forms: which values the operands get.
#include <algorithm>
#include <cstring>
#include <utility>

#include "vxengine/conformance/forms.h"

namespace vx::conformance {
namespace {

void AppendLe(uint64_t value, int size, std::vector<uint8_t>* code) {
  for (int i = 0; i < size; ++i) code->push_back(value >> (8 * i));
}

bool StartsWith(const Form& form, std::string_view prefix) { return form.name.starts_with(prefix); }

bool CountInCl(const Form& form) { return form.name.ends_with("_cl"); }

// Mostly a count that says something about operands up to 32 bits. A double shift of 16 bits by 16
// or more is undefined as a whole.
uint32_t ShiftCount(const Form& form, Random& random) {
  const bool is_double = form.rule == Rule::kShld || form.rule == Rule::kShrd;
  const uint32_t count = Below(random, 8) == 0 ? Below(random, 256) : Below(random, 34);
  return is_double && form.size == 2 ? count & ~16 : count;
}

bool IsShift(Rule rule) { return rule >= Rule::kShl && rule <= Rule::kShrd; }

bool InData(uint32_t address, uint32_t size) {
  return address >= kData && address - kData <= kDataSize - size;
}

// Builds one case, step by step; `pinned` are the registers whose value has a meaning already.
class Builder {
 public:
  Builder(const Form& form, Random& random)
      : form_(form), random_(random), rm_is_register_(PickRegisterForm()) {
    const bool has_xmm = form.reg == 'V' || form.rm == 'W' || form.rm == 'U';
    test_.name = form.name;
    test_.rule = form.rule;
    test_.state = RandomState(random, has_xmm);
    reg_ = form.digit >= 0 ? form.digit : Below(random, 8);
    rm_register_ = Below(random, 8);
    low_register_ = Below(random, 8);
  }

  Case Build() {
    ChooseInputs();
    Encode();
    ChooseOperandValue();
    return std::move(test_);
  }

 private:
  bool PickRegisterForm() {
    if (form_.rm == 'M') return false;
    return form_.rm == 'R' || form_.rm == 'U' || Below(random_, 2) == 0;
  }

  void Pin(int gpr, uint32_t value) {
    test_.state.gpr[gpr] = value;
    pinned_ |= 1u << gpr;
  }

  // Values that must be there before a memory operand's address is made.
  void ChooseInputs() {
    if (CountInCl(form_)) {
      test_.source = ShiftCount(form_, random_);
      Pin(kEcx, (random_() & 0xffffff00) | test_.source);
    }
    if (form_.rule == Rule::kDiv) ChooseDividend();
    if (form_.rule == Rule::kBitTest && form_.digit < 0) {
      Pin(reg_, Below(random_, 4) ? Below(random_, 0x4000) - 0x2000 : EdgeValue(random_));
    }
    switch (form_.inputs) {
      case Inputs::kStack:
        Pin(kEsp, StackAddress());
        Pin(kEbp, StackAddress());
        break;
      case Inputs::kString:
        ChooseStringInputs();
        break;
      case Inputs::kXlat:
        test_.state.gpr[kEbx] = OperandAddress(random_, 1) - (test_.state.gpr[kEax] & 0xff);
        break;
      case Inputs::kMaskmov:
        test_.state.gpr[kEdi] = kData + Below(random_, kDataSize - 16);
        break;
      default:
        break;
    }
  }

  uint32_t StackAddress() {
    return Below(random_, 2) ? test_.state.gpr[kEsp] : OperandAddress(random_, 32);
  }

  // A dividend that fits the divisor more often than chance would have it.
  void ChooseDividend() {
    const bool is_signed = StartsWith(form_, "idiv");
    const int bits = 8 * form_.size;
    const auto extend = [&](uint64_t value) -> int64_t {
      value <<= 64 - bits;
      return is_signed ? static_cast<int64_t>(value) >> (64 - bits) : value >> (64 - bits);
    };
    divisor_ = EdgeValue(random_);
    const int64_t divisor = extend(divisor_), quotient = extend(EdgeValue(random_));
    uint64_t dividend = static_cast<uint64_t>(quotient) * divisor;
    if (divisor != 0) {
      const uint64_t rest = Below(random_, static_cast<uint32_t>(std::abs(divisor)));
      dividend += is_signed && (quotient < 0) != (divisor < 0) ? -rest : rest;
    }
    if (Below(random_, 6) == 0) dividend = random_();
    const uint32_t high = static_cast<uint32_t>(random_()) & ~0xffffu;
    if (bits == 32) {
      Pin(kEax, dividend);
      Pin(kEdx, dividend >> 32);
    } else if (bits == 16) {
      Pin(kEax, high | (dividend & 0xffff));
      Pin(kEdx, high | (dividend >> 16 & 0xffff));
    } else {
      Pin(kEax, high | (dividend & 0xffff));
    }
  }

  void ChooseStringInputs() {
    State& state = test_.state;
    const uint32_t size = form_.name.back() == 'b' ? 1 : form_.size;
    if (Below(random_, 2)) state.eflags ^= kDf;
    const auto address = [&] {
      return Below(random_, 4) ? kData + 0x200 + Below(random_, kDataSize - 0x400)
                               : OperandAddress(random_, size);
    };
    state.gpr[kEsi] = address();
    state.gpr[kEdi] = Below(random_, 3) ? address() : state.gpr[kEsi] + Below(random_, 16) - 8;
    const uint32_t prefix = Below(random_, 3);
    if (prefix == 0) return;
    prefixes_ = {static_cast<uint8_t>(prefix == 1 ? 0xf2 : 0xf3)};
    state.gpr[kEcx] = Below(random_, 8) ? Below(random_, 40) : Below(random_, kDataSize);
    const std::vector<uint8_t> data = InitialData(test_);
    if (InData(state.gpr[kEdi], 4) && Below(random_, 2)) {
      std::memcpy(&state.gpr[kEax], &data[state.gpr[kEdi] - kData], 4);
    }
  }

  void Encode() {
    std::vector<uint8_t>& code = test_.code;
    code = prefixes_;
    code.insert(code.end(), form_.opcode.begin(), form_.opcode.end());
    if (form_.low_register_size != 0) code.back() += low_register_;
    if (form_.address) {
      memory_ = OperandAddress(random_, form_.rm_size);
      AppendLe(memory_, 4, &code);
    }
    if (form_.rm != 0) EncodeModRm();
    if (form_.immediate == 0) return;
    uint32_t immediate = EdgeValue(random_);
    if (IsShift(form_.rule)) test_.source = immediate = ShiftCount(form_, random_);
    if (form_.rule == Rule::kAad) test_.source = immediate & 0xff;
    AppendLe(immediate, form_.immediate, &code);
  }

  void EncodeModRm() {
    if (rm_is_register_) {
      test_.code.push_back(0xc0 | reg_ << 3 | rm_register_);
      return;
    }
    test_.memory = memory_ = OperandAddress(random_, form_.rm_size);
    const std::vector<uint8_t> address =
        EncodeAddress(random_, reg_, memory_, [this](int gpr, uint32_t wish) {
          if (!(pinned_ >> gpr & 1)) Pin(gpr, wish);
          return test_.state.gpr[gpr];
        });
    test_.code.insert(test_.code.end(), address.begin(), address.end());
  }

  Place RmPlace() const {
    if (form_.rm == 0) return {};
    if (rm_is_register_) {
      return {Place::kRegister, form_.rm_size, static_cast<uint32_t>(rm_register_)};
    }
    if (!InData(memory_, form_.rm_size)) return {};
    return {Place::kMemory, form_.rm_size, memory_};
  }

  // What needs the operand's place to be known.
  void ChooseOperandValue() {
    const Place rm = RmPlace();
    if (form_.low_register_size != 0) {
      test_.destination = {Place::kRegister, form_.size, static_cast<uint32_t>(low_register_)};
    } else if (form_.rm_is_destination) {
      test_.destination = rm;
    } else if (form_.reg == 'G') {
      test_.destination = {Place::kRegister, form_.reg_size, static_cast<uint32_t>(reg_)};
    }
    if (form_.name.ends_with("_one")) test_.source = 1;

    std::array<uint32_t, 4> value;
    for (uint32_t& word : value) word = EdgeValue(random_);
    if (form_.rule == Rule::kDiv) value[0] = divisor_;
    if (form_.rule == Rule::kBitScan && Below(random_, 4) == 0) value[0] = 0;
    const bool vector_shift =
        StartsWith(form_, "psll") || StartsWith(form_, "psrl") || StartsWith(form_, "psra");
    if (vector_shift && Below(random_, 4)) {
      value[0] = Below(random_, 70);
      value[1] = 0;
    }
    if (rm.kind == Place::kMemory || form_.address) Fill(value);
    if (rm.kind == Place::kRegister && !(form_.reg == 'G' && Below(random_, 2))) SetRm(value);
    if (StartsWith(form_, "cmpxchg") && Below(random_, 2)) Match(rm, value);
  }

  void Fill(const std::array<uint32_t, 4>& value) {
    if (!InData(memory_, form_.rm_size)) return;
    Patch patch{memory_, std::vector<uint8_t>(form_.rm_size)};
    std::memcpy(patch.bytes.data(), value.data(), form_.rm_size);
    test_.patches.push_back(std::move(patch));
  }

  void SetRm(const std::array<uint32_t, 4>& value) {
    if (form_.rm == 'W' || form_.rm == 'U') {
      test_.state.xmm[rm_register_].lane = {value[0] | uint64_t{value[1]} << 32,
                                            value[2] | uint64_t{value[3]} << 32};
    } else if (form_.rm_size == 1) {
      if (pinned_ >> (rm_register_ & 3) & 1) return;
      uint32_t& gpr = test_.state.gpr[rm_register_ & 3];
      const int shift = rm_register_ >= 4 ? 8 : 0;
      gpr = (gpr & ~(0xffu << shift)) | (value[0] & 0xff) << shift;
    } else if (!(pinned_ >> rm_register_ & 1)) {
      test_.state.gpr[rm_register_] = value[0];
    }
  }

  // Makes CMPXCHG find what it compares with.
  void Match(const Place& rm, const std::array<uint32_t, 4>& value) {
    if (rm.kind == Place::kNone) return;
    if (form_.rm_size == 8) {
      if (!(pinned_ >> kEax & 1)) test_.state.gpr[kEax] = value[0];
      if (!(pinned_ >> kEdx & 1)) test_.state.gpr[kEdx] = value[1];
    } else if (!(pinned_ >> kEax & 1)) {
      test_.state.gpr[kEax] = Value(rm, test_.state, InitialData(test_));
    }
  }

  const Form& form_;
  Random& random_;
  const bool rm_is_register_;
  Case test_;
  std::vector<uint8_t> prefixes_;
  int reg_ = 0, rm_register_ = 0, low_register_ = 0;
  uint32_t pinned_ = 0;
  uint32_t memory_ = 0;
  uint32_t divisor_ = 0;
};

void AppendMov(int gpr, uint32_t value, std::vector<uint8_t>* code) {
  code->push_back(0xb8 + gpr);
  AppendLe(value, 4, code);
}

// The registers that a string instruction or XLAT reads, and a string instruction's prefix.
void AppendPointers(const Form& form, Random& random, std::vector<uint8_t>* code) {
  const auto address = [&] { return kData + 0x780 + Below(random, 0x100); };
  if (form.inputs == Inputs::kXlat) return AppendMov(kEbx, address(), code);
  AppendMov(kEsi, address(), code);
  AppendMov(kEdi, address(), code);
  const uint32_t prefix = Below(random, 3);
  if (prefix == 0) return;
  AppendMov(kEcx, Below(random, 24), code);
  code->push_back(prefix == 1 ? 0xf2 : 0xf3);
}

}  // namespace

Case MakeCase(const Form& form, Random& random) { return Builder(form, random).Build(); }

void AppendInstruction(const Form& form, Random& random, std::vector<uint8_t>* code) {
  const int reg = form.digit >= 0 ? form.digit : Below(random, 8);
  std::vector<uint8_t> address;
  const bool in_register = form.rm == 'R' || form.rm == 'U' || Below(random, 2) == 0;
  if (form.rm != 0 && (form.rm == 'M' || !in_register)) {
    // An operand in the first page's middle, so that later ones often meet it.
    const uint32_t target = Below(random, 24) ? kData + 0x800 + Below(random, 8) * 4
                                              : OperandAddress(random, form.rm_size);
    std::array<uint32_t, 8> value{};
    uint32_t known = 0;
    address = EncodeAddress(random, reg, target, [&](int gpr, uint32_t wish) {
      if (known >> gpr & 1) return value[gpr];
      known |= 1u << gpr;
      AppendMov(gpr, wish, code);
      return value[gpr] = wish;
    });
  } else if (form.rm != 0) {
    address = {static_cast<uint8_t>(0xc0 | reg << 3 | Below(random, 8))};
  }
  if (form.inputs == Inputs::kString || form.inputs == Inputs::kXlat) {
    AppendPointers(form, random, code);
  }
  code->insert(code->end(), form.opcode.begin(), form.opcode.end());
  if (form.low_register_size != 0) code->back() += Below(random, 8);
  code->insert(code->end(), address.begin(), address.end());
  if (form.address) AppendLe(kData + 0x800 + Below(random, 32), 4, code);
  AppendLe(IsShift(form.rule) ? ShiftCount(form, random) : EdgeValue(random), form.immediate, code);
}

}  // namespace vx::conformance
