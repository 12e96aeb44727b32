#include "vxengine/conformance/fp_forms.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace vx::conformance {
namespace {

using enum FpType;

constexpr FpRow kSseRows[] = {
    {"sqrtps", "0F 51", kF32x4, kF32x4},       {"sqrtpd", "66 0F 51", kF64x2, kF64x2},
    {"sqrtss", "F3 0F 51", kF32, kF32},        {"sqrtsd", "F2 0F 51", kF64, kF64},
    {"addps", "0F 58", kF32x4, kF32x4},        {"addpd", "66 0F 58", kF64x2, kF64x2},
    {"addss", "F3 0F 58", kF32, kF32},         {"addsd", "F2 0F 58", kF64, kF64},
    {"mulps", "0F 59", kF32x4, kF32x4},        {"mulpd", "66 0F 59", kF64x2, kF64x2},
    {"mulss", "F3 0F 59", kF32, kF32},         {"mulsd", "F2 0F 59", kF64, kF64},
    {"subps", "0F 5C", kF32x4, kF32x4},        {"subpd", "66 0F 5C", kF64x2, kF64x2},
    {"subss", "F3 0F 5C", kF32, kF32},         {"subsd", "F2 0F 5C", kF64, kF64},
    {"minps", "0F 5D", kF32x4, kF32x4},        {"minpd", "66 0F 5D", kF64x2, kF64x2},
    {"minss", "F3 0F 5D", kF32, kF32},         {"minsd", "F2 0F 5D", kF64, kF64},
    {"divps", "0F 5E", kF32x4, kF32x4},        {"divpd", "66 0F 5E", kF64x2, kF64x2},
    {"divss", "F3 0F 5E", kF32, kF32},         {"divsd", "F2 0F 5E", kF64, kF64},
    {"maxps", "0F 5F", kF32x4, kF32x4},        {"maxpd", "66 0F 5F", kF64x2, kF64x2},
    {"maxss", "F3 0F 5F", kF32, kF32},         {"maxsd", "F2 0F 5F", kF64, kF64},
    {"cmpps", "0F C2", kF32x4, kF32x4, true},  {"cmppd", "66 0F C2", kF64x2, kF64x2, true},
    {"cmpss", "F3 0F C2", kF32, kF32, true},   {"cmpsd", "F2 0F C2", kF64, kF64, true},
    {"ucomiss", "0F 2E", kF32, kF32},          {"ucomisd", "66 0F 2E", kF64, kF64},
    {"comiss", "0F 2F", kF32, kF32},           {"comisd", "66 0F 2F", kF64, kF64},
    {"cvtsi2ss", "F3 0F 2A", kI32, kF32},      {"cvtsi2sd", "F2 0F 2A", kI32, kF64},
    {"cvttss2si", "F3 0F 2C", kF32, kI32},     {"cvttsd2si", "F2 0F 2C", kF64, kI32},
    {"cvtss2si", "F3 0F 2D", kF32, kI32},      {"cvtsd2si", "F2 0F 2D", kF64, kI32},
    {"cvtps2pd", "0F 5A", kF32x2, kF64x2},     {"cvtpd2ps", "66 0F 5A", kF64x2, kF32x2},
    {"cvtss2sd", "F3 0F 5A", kF32, kF64},      {"cvtsd2ss", "F2 0F 5A", kF64, kF32},
    {"cvtdq2ps", "0F 5B", kI32x4, kF32x4},     {"cvtps2dq", "66 0F 5B", kF32x4, kI32x4},
    {"cvttps2dq", "F3 0F 5B", kF32x4, kI32x4}, {"cvttpd2dq", "66 0F E6", kF64x2, kI32x2},
    {"cvtdq2pd", "F3 0F E6", kI32x2, kF64x2},  {"cvtpd2dq", "F2 0F E6", kF64x2, kI32x2},
};

constexpr FpRow kX87Rows[] = {
    {"fadd_m32", "D8 /0", kF32},
    {"fmul_m32", "D8 /1", kF32},
    {"fcom_m32", "D8 /2", kF32},
    {"fcomp_m32", "D8 /3", kF32},
    {"fsub_m32", "D8 /4", kF32},
    {"fsubr_m32", "D8 /5", kF32},
    {"fdiv_m32", "D8 /6", kF32},
    {"fdivr_m32", "D8 /7", kF32},
    {"fadd_sti", "D8 C0 +i"},
    {"fmul_sti", "D8 C8 +i"},
    {"fcom_sti", "D8 D0 +i"},
    {"fcomp_sti", "D8 D8 +i"},
    {"fsub_sti", "D8 E0 +i"},
    {"fsubr_sti", "D8 E8 +i"},
    {"fdiv_sti", "D8 F0 +i"},
    {"fdivr_sti", "D8 F8 +i"},
    {"fld_m32", "D9 /0", kF32},
    {"fst_m32", "D9 /2", kF32},
    {"fstp_m32", "D9 /3", kF32},
    {"fld_sti", "D9 C0 +i"},
    {"fxch", "D9 C8 +i"},
    {"fchs", "D9 E0"},
    {"fabs", "D9 E1"},
    {"ftst", "D9 E4"},
    {"fxam", "D9 E5"},
    {"fld1", "D9 E8"},
    {"fldl2t", "D9 E9"},
    {"fldl2e", "D9 EA"},
    {"fldpi", "D9 EB"},
    {"fldlg2", "D9 EC"},
    {"fldln2", "D9 ED"},
    {"fldz", "D9 EE"},
    {"fxtract", "D9 F4"},
    {"fprem1", "D9 F5"},
    {"fprem", "D9 F8"},
    {"fsqrt", "D9 FA"},
    {"frndint", "D9 FC"},
    {"fscale", "D9 FD"},
    {"fiadd_m32", "DA /0", kI32},
    {"fimul_m32", "DA /1", kI32},
    {"ficom_m32", "DA /2", kI32},
    {"ficomp_m32", "DA /3", kI32},
    {"fisub_m32", "DA /4", kI32},
    {"fisubr_m32", "DA /5", kI32},
    {"fidiv_m32", "DA /6", kI32},
    {"fidivr_m32", "DA /7", kI32},
    {"fcmovb", "DA C0 +i"},
    {"fcmove", "DA C8 +i"},
    {"fcmovbe", "DA D0 +i"},
    {"fcmovu", "DA D8 +i"},
    {"fucompp", "DA E9"},
    {"fild_m32", "DB /0", kI32},
    {"fist_m32", "DB /2", kI32},
    {"fistp_m32", "DB /3", kI32},
    {"fld_m80", "DB /5", kF80},
    {"fstp_m80", "DB /7", kF80},
    {"fcmovnb", "DB C0 +i"},
    {"fcmovne", "DB C8 +i"},
    {"fcmovnbe", "DB D0 +i"},
    {"fcmovnu", "DB D8 +i"},
    {"fucomi", "DB E8 +i"},
    {"fcomi", "DB F0 +i"},
    {"fadd_m64", "DC /0", kF64},
    {"fmul_m64", "DC /1", kF64},
    {"fcom_m64", "DC /2", kF64},
    {"fcomp_m64", "DC /3", kF64},
    {"fsub_m64", "DC /4", kF64},
    {"fsubr_m64", "DC /5", kF64},
    {"fdiv_m64", "DC /6", kF64},
    {"fdivr_m64", "DC /7", kF64},
    {"fadd_sti_st", "DC C0 +i"},
    {"fmul_sti_st", "DC C8 +i"},
    {"fsubr_sti_st", "DC E0 +i"},
    {"fsub_sti_st", "DC E8 +i"},
    {"fdivr_sti_st", "DC F0 +i"},
    {"fdiv_sti_st", "DC F8 +i"},
    {"fld_m64", "DD /0", kF64},
    {"fst_m64", "DD /2", kF64},
    {"fstp_m64", "DD /3", kF64},
    {"fst_sti", "DD D0 +i"},
    {"fstp_sti", "DD D8 +i"},
    {"fucom", "DD E0 +i"},
    {"fucomp", "DD E8 +i"},
    {"fiadd_m16", "DE /0", kI16},
    {"fimul_m16", "DE /1", kI16},
    {"ficom_m16", "DE /2", kI16},
    {"ficomp_m16", "DE /3", kI16},
    {"fisub_m16", "DE /4", kI16},
    {"fisubr_m16", "DE /5", kI16},
    {"fidiv_m16", "DE /6", kI16},
    {"fidivr_m16", "DE /7", kI16},
    {"faddp", "DE C0 +i"},
    {"fmulp", "DE C8 +i"},
    {"fcompp", "DE D9"},
    {"fsubrp", "DE E0 +i"},
    {"fsubp", "DE E8 +i"},
    {"fdivrp", "DE F0 +i"},
    {"fdivp", "DE F8 +i"},
    {"fild_m16", "DF /0", kI16},
    {"fist_m16", "DF /2", kI16},
    {"fistp_m16", "DF /3", kI16},
    {"fbld", "DF /4", kBcd},
    {"fild_m64", "DF /5", kI64},
    {"fbstp", "DF /6", kBcd},
    {"fistp_m64", "DF /7", kI64},
    {"fucomip", "DF E8 +i"},
    {"fcomip", "DF F0 +i"},
};

constexpr FpRow kStateRows[] = {
    {"fwait", "9B"},
    {"fnop", "D9 D0"},
    {"fldenv", "D9 /4", kEnvironment},
    {"fldcw", "D9 /5", kControlWord},
    {"fnstenv", "D9 /6", kStoredEnvironment},
    {"fnstcw", "D9 /7", kControlWord},
    {"fdecstp", "D9 F6"},
    {"fincstp", "D9 F7"},
    {"fnclex", "DB E2"},
    {"fninit", "DB E3"},
    {"ffree", "DD C0 +i"},
    {"frstor", "DD /4", kX87Image},
    {"fnsave", "DD /6", kStoredX87Image},
    {"fnstsw_m16", "DD /7", kI16},
    {"fnstsw_ax", "DF E0"},
    {"fxsave", "0F AE /0", kStoredFxImage},
    {"fxrstor", "0F AE /1", kFxImage},
    {"ldmxcsr", "0F AE /2", kMxcsr},
    {"stmxcsr", "0F AE /3", kI32},
};

struct TypeInfo {
  uint32_t size;
  bool aligned;
};

TypeInfo Info(FpType type) {
  switch (type) {
    case kNone:
      return {0, false};
    case kI16:
    case kControlWord:
      return {2, false};
    case kI32:
    case kF32:
    case kMxcsr:
      return {4, false};
    case kI64:
    case kF64:
    case kI32x2:
    case kF32x2:
      return {8, false};
    case kF80:
    case kBcd:
      return {10, false};
    case kI32x4:
    case kF32x4:
    case kF64x2:
      return {16, true};
    case kEnvironment:
    case kStoredEnvironment:
      return {kEnvironmentSize, false};
    case kX87Image:
    case kStoredX87Image:
      return {kX87ImageSize, false};
    case kFxImage:
    case kStoredFxImage:
      return {kFxImageSize, true};
  }
  return {0, false};
}

uint8_t ModRm(unsigned mod, unsigned reg, unsigned rm) {
  return static_cast<uint8_t>(mod << 6 | reg << 3 | rm);
}

std::vector<uint8_t> With(std::vector<uint8_t> code, std::initializer_list<uint8_t> more) {
  code.insert(code.end(), more.begin(), more.end());
  return code;
}

// Splits an opcode into its bytes and what follows them.
std::vector<uint8_t> ParseOpcode(std::string_view opcode, std::string* suffix) {
  std::vector<uint8_t> bytes;
  for (absl::string_view part :
       absl::StrSplit(absl::string_view(opcode.data(), opcode.size()), ' ')) {
    if (part[0] == '/' || part[0] == '+') {
      *suffix = std::string(part);
      continue;
    }
    uint32_t byte = 0;
    (void)absl::SimpleHexAtoi(part, &byte);
    bytes.push_back(static_cast<uint8_t>(byte));
  }
  return bytes;
}

// General registers are EAX as rm and ECX as reg; XMM registers are different ones, equal ones, and
// the last and the first.
FpForm ExpandSse(const FpRow& row, int predicate) {
  FpForm form{.name = std::string(row.name), .rm = row.rm, .reg = row.reg, .encodings = {}};
  std::string suffix;
  const std::vector<uint8_t> opcode = ParseOpcode(row.opcode, &suffix);
  std::vector<uint8_t> tail;
  if (predicate >= 0) {
    absl::StrAppend(&form.name, "_", predicate);
    tail = {static_cast<uint8_t>(predicate)};
  }
  const auto add = [&](uint8_t modrm, bool memory) {
    std::vector<uint8_t> code = With(opcode, {modrm});
    code.insert(code.end(), tail.begin(), tail.end());
    form.encodings.push_back({std::move(code), memory, false});
  };
  const bool to_gpr = row.reg == kI32, from_gpr = row.rm == kI32;
  add(ModRm(0, to_gpr ? kEcx : 5, kEax), true);
  for (auto [reg, rm] : {std::pair{1u, 2u}, std::pair{3u, 3u}, std::pair{7u, 0u}}) {
    add(ModRm(3, to_gpr ? unsigned{kEcx} : reg, from_gpr ? unsigned{kEax} : rm), false);
  }
  return form;
}

FpForm ExpandX87(const FpRow& row, bool with_wait) {
  FpForm form{.name = std::string(row.name), .rm = row.rm, .reg = kNone, .encodings = {}};
  std::string suffix;
  const std::vector<uint8_t> opcode = ParseOpcode(row.opcode, &suffix);
  std::vector<FpEncoding> encodings;
  if (suffix.starts_with('/')) {
    encodings.push_back({With(opcode, {ModRm(0, suffix[1] - '0', kEax)}), true, false});
  } else if (suffix == "+i") {
    for (uint8_t i : {0, 1, 2, 7}) {
      std::vector<uint8_t> code = opcode;
      code.back() += i;
      encodings.push_back({std::move(code), false, false});
    }
  } else {
    encodings.push_back({opcode, false, false});
  }
  for (FpEncoding& encoding : encodings) {
    if (with_wait) form.encodings.push_back({With(encoding.code, {0x9b}), encoding.memory, true});
    form.encodings.push_back(std::move(encoding));
  }
  return form;
}

bool Chance(Random& random, uint32_t percent) { return Below(random, 100) < percent; }

// A fraction of `bits` bits: nothing, everything, an end of it, what is halfway in a shorter
// format, or random ones.
uint64_t MakeFraction(Random& random, unsigned bits) {
  const uint64_t mask = (uint64_t{1} << bits) - 1, high = uint64_t{1} << (bits - 1);
  switch (Below(random, 10)) {
    case 0:
      return 0;
    case 1:
      return mask;
    case 2:
      return Below(random, 4);
    case 3:
      return high;
    case 4:
      return high | Below(random, 4);
    case 5:
      return mask - Below(random, 4);
    case 6:  // ends in a one followed by zeroes, maybe with a little more or less
      return (random() << (1 + Below(random, bits - 1)) | uint64_t{1} << Below(random, bits)) &
             mask;
    case 7:
      return ((uint64_t{1} << Below(random, bits)) + Below(random, 3) - 1) & mask;
    default:
      return random() & mask;
  }
}

// A biased exponent: the ends, 1 and its neighbours, where integers of all sizes end, any.
uint32_t MakeExponent(Random& random, unsigned bits, unsigned fraction_bits) {
  const uint32_t most = (1u << bits) - 1, bias = most >> 1;
  switch (Below(random, 12)) {
    case 0:
      return 0;
    case 1:
      return most;
    case 2:
      return 1 + Below(random, 3);
    case 3:
      return most - 1 - Below(random, 3);
    case 4:
    case 5:
    case 6:
      return bias + Below(random, 8) - 4;
    case 7: {
      constexpr uint32_t kEnds[] = {7, 15, 23, 31, 52, 63};
      return std::min(bias + kEnds[Below(random, 6)] + Below(random, 4) - 2, most);
    }
    case 8:
      return std::min(bias + fraction_bits + Below(random, 5) - 2, most);
    case 9:
      return bias / 2 + Below(random, 64);  // squares underflow
    case 10:
      return bias + Below(random, 2 * fraction_bits) - fraction_bits;
    default:
      return static_cast<uint32_t>(random()) & most;
  }
}

// An IEEE number of at most 64 bits.
struct Format {
  unsigned fraction_bits, exponent_bits;
};
constexpr Format kSingle = {23, 8}, kDouble = {52, 11};

uint64_t MakeFloat(Random& random, Format format) {
  const uint64_t sign = Below(random, 2);
  const uint64_t exponent = MakeExponent(random, format.exponent_bits, format.fraction_bits);
  return sign << (format.exponent_bits + format.fraction_bits) | exponent << format.fraction_bits |
         MakeFraction(random, format.fraction_bits);
}

// A number that has something to do with another: cancels, differs in the last place, or lies
// beyond its precision.
uint64_t MakeRelated(Random& random, Format format, uint64_t value) {
  const uint64_t all = format.exponent_bits + format.fraction_bits == 31 ? 0xffffffff : ~0ull;
  const uint64_t sign = uint64_t{1} << (format.exponent_bits + format.fraction_bits);
  switch (Below(random, 6)) {
    case 0:
      return value;
    case 1:
      return value ^ sign;
    case 2:
      return (value + Below(random, 3) - 1) & all;
    case 3:
      return ((value + Below(random, 3) - 1) ^ sign) & all;
    case 4:
      return value ^ uint64_t { Below(random, 4) } << format.fraction_bits;
    default:
      return (value -
              (uint64_t{format.fraction_bits - 1 + Below(random, 4)} << format.fraction_bits)) &
             all;
  }
}

uint64_t MakeInteger(Random& random, unsigned bits) {
  const uint64_t high = uint64_t{1} << (bits - 1);
  switch (Below(random, 6)) {
    case 0:
      return Below(random, 5) - uint64_t{2};
    case 1:
      return high + Below(random, 5) - 2;
    case 2:
      return (uint64_t{1} << Below(random, bits)) + Below(random, 3) - 1;
    default:
      return random() >> Below(random, 64);
  }
}

X87Register MakeF80(Random& random) {
  X87Register reg;
  if (Chance(random, 10)) {  // n / 2: what rounds to integers
    const uint64_t n = 1 + Below(random, 64);
    const unsigned shift = static_cast<unsigned>(__builtin_clzll(n));
    reg = {n << shift, static_cast<uint16_t>(0x3fff + 62 - shift)};
  } else if (Chance(random, 10)) {
    reg = {};
  } else {
    const uint32_t exponent = MakeExponent(random, 15, 63);
    bool integer_bit = exponent != 0;
    if (Chance(random, 10)) integer_bit = !integer_bit;  // unnormal, pseudo-denormal, and so on
    reg.significand = MakeFraction(random, 63) | uint64_t{integer_bit} << 63;
    if (Chance(random, 25)) {  // near what singles and doubles can hold
      const unsigned bits = Chance(random, 50) ? 40 : 11;
      reg.significand &= ~uint64_t{0} << bits;
      reg.significand |= (uint64_t{1} << (bits - 1)) + Below(random, 3) - 1;
    }
    reg.sign_exponent = static_cast<uint16_t>(exponent);
    if (Chance(random, 15)) {  // near the ends of their exponents
      constexpr uint16_t kEnds[] = {0x3fff + 127,  0x3fff - 126,  0x3fff - 149,
                                    0x3fff + 1023, 0x3fff - 1022, 0x3fff - 1074};
      reg.sign_exponent = static_cast<uint16_t>(kEnds[Below(random, 6)] + Below(random, 4) - 2);
    }
  }
  if (Chance(random, 50)) reg.sign_exponent |= 0x8000;
  return reg;
}

// What FSCALE needs to bring a number near the ends of the exponents, or of those that it has after
// an adjustment for overflow or underflow; maybe not an integer.
X87Register MakeScale(Random& random, X87Register reg) {
  constexpr int kMost = 16383, kLeast = -16382, kDigits = 64, kAdjustment = 24576;
  constexpr int kEnds[] = {kMost,
                           kMost + kAdjustment,
                           kLeast,
                           kLeast - kDigits,
                           kLeast - kAdjustment,
                           kLeast - kAdjustment - kDigits};
  const int exponent = (reg.sign_exponent & 0x7fff) - kMost;
  const int scale =
      kEnds[Below(random, std::size(kEnds))] + static_cast<int>(Below(random, 5)) - 2 - exponent;
  if (scale == 0) return {};
  const uint64_t magnitude = static_cast<uint64_t>(std::abs(scale));
  const unsigned shift = static_cast<unsigned>(__builtin_clzll(magnitude));
  const uint64_t fraction = Chance(random, 50) ? random() >> (64 - shift) : 0;
  return {magnitude << shift | fraction,
          static_cast<uint16_t>((scale < 0 ? 0x8000 : 0) | (kMost + 63 - shift))};
}

X87Register MakeRelatedF80(Random& random, X87Register reg) {
  switch (Below(random, 7)) {
    case 0:
      break;
    case 1:
      reg.sign_exponent ^= 0x8000;
      break;
    case 2:
      reg.significand += Below(random, 3) - uint64_t{1};
      break;
    case 3:
      reg.sign_exponent ^= Below(random, 4);
      break;
    case 4:
      return MakeScale(random, reg);
    case 5:  // a long remainder
      reg.sign_exponent = static_cast<uint16_t>(reg.sign_exponent - Below(random, 300));
      reg.significand ^= random() >> Below(random, 64) >> 1;
      break;
    default:
      reg.sign_exponent = static_cast<uint16_t>(reg.sign_exponent - 62 - Below(random, 4));
  }
  return reg;
}

uint16_t MakeControl(Random& random) {
  constexpr uint32_t kPrecisions[] = {0, 0, 1, 2, 2, 3, 3, 3};
  const uint32_t masks = Chance(random, 70) ? 0x3f : Below(random, 64);
  return static_cast<uint16_t>(0x40 | masks | kPrecisions[Below(random, 8)] << 8 |
                               Below(random, 4) << 10 | Below(random, 2) << 12);
}

uint16_t MakeTags(Random& random, unsigned top) {
  if (Chance(random, 12)) return static_cast<uint16_t>(random() & random());  // any in use
  const unsigned depth = Chance(random, 15) ? 0 : Chance(random, 15) ? 8 : 1 + Below(random, 7);
  unsigned tags = 0xffff;
  for (unsigned i = 0; i < depth; ++i) tags &= ~(3u << (2 * ((top + i) & 7)));
  return static_cast<uint16_t>(tags);
}

X87State MakeX87(Random& random, bool unmask) {
  X87State x87;
  x87.control = MakeControl(random);
  if (unmask && Chance(random, 60)) x87.control &= static_cast<uint16_t>(~Below(random, 64));
  const unsigned top = Below(random, 8);
  x87.status = static_cast<uint16_t>(top << 11 | (random() & 0x4700));
  // Flags that are pending would stop most instructions before they do anything.
  const uint16_t allowed = Chance(random, 5) ? 0x7f : (x87.control & 0x3f) | 0x40;
  if (Chance(random, 30)) x87.status |= static_cast<uint16_t>(random() & allowed);
  x87.tag = MakeTags(random, top);
  for (X87Register& reg : x87.reg) reg = MakeF80(random);
  for (unsigned i = 1; i < 8; ++i) {
    if (Chance(random, 35)) x87.reg[(top + i) & 7] = MakeRelatedF80(random, x87.reg[top]);
  }
  Settle(&x87);
  return x87;
}

uint32_t MakeMxcsr(Random& random) {
  const uint32_t masks = Chance(random, 80) ? 0x3f : Below(random, 64);
  uint32_t mxcsr = masks << 7 | Below(random, 4) << 13;
  if (Chance(random, 25)) mxcsr |= 0x40;    // denormals are zero
  if (Chance(random, 25)) mxcsr |= 0x8000;  // flush to zero
  if (Chance(random, 30)) mxcsr |= Below(random, 64);
  return mxcsr;
}

// MXCSR as memory holds it: now and then with a bit that isn't there. (AMD has bit 17.)
uint32_t MakeStoredMxcsr(Random& random) {
  uint32_t mxcsr = static_cast<uint32_t>(random()) & 0xffff;
  if (Chance(random, 15)) mxcsr |= 1u << (Chance(random, 50) ? 16 : 18 + Below(random, 14));
  return mxcsr;
}

template <typename T>
void Append(std::vector<uint8_t>* to, T value, size_t size = sizeof(T)) {
  const size_t at = to->size();
  to->resize(at + size);
  std::memcpy(to->data() + at, &value, size);
}

// 16 bytes of lanes of the type, each maybe related to its counterpart in `other`.
std::vector<uint8_t> MakeLanes(Random& random, FpType type, const Xmm* other) {
  std::vector<uint8_t> bytes;
  const auto append = [&](Format format, size_t size) {
    while (bytes.size() < 16) {
      uint64_t value = MakeFloat(random, format);
      if (other != nullptr && Chance(random, 35)) {
        uint64_t counterpart = other->lane[bytes.size() / 8] >> (bytes.size() % 8 * 8);
        if (size == 4) counterpart &= 0xffffffff;
        value = MakeRelated(random, format, counterpart);
      }
      Append(&bytes, value, size);
    }
  };
  switch (type) {
    case kF32:
    case kF32x2:
    case kF32x4:
      append(kSingle, 4);
      break;
    case kF64:
    case kF64x2:
      append(kDouble, 8);
      break;
    case kI32x2:
    case kI32x4:
      while (bytes.size() < 16) Append(&bytes, MakeInteger(random, 32), 4);
      break;
    default:
      while (bytes.size() < 16) Append(&bytes, random());
  }
  return bytes;
}

// What memory holds for the type. Images are random where guests don't care.
std::vector<uint8_t> MakeMemory(Random& random, FpType type, const Xmm& related) {
  std::vector<uint8_t> bytes;
  switch (type) {
    case kI16:
      Append(&bytes, MakeInteger(random, 16), 2);
      break;
    case kI32:
      Append(&bytes, MakeInteger(random, 32), 4);
      break;
    case kI64:
      Append(&bytes, MakeInteger(random, 64), 8);
      break;
    case kF80: {
      const X87Register reg = MakeF80(random);
      Append(&bytes, reg.significand);
      Append(&bytes, reg.sign_exponent);
      break;
    }
    case kBcd:
      for (int i = 0; i < 9; ++i) {
        const bool edge = Chance(random, 20);
        bytes.push_back(edge ? 0
                             : static_cast<uint8_t>(Below(random, 10) << 4 | Below(random, 10)));
      }
      bytes.push_back(Chance(random, 50) ? 0x80 : 0);
      if (Chance(random, 20)) {  // no decimal digits
        bytes[Below(random, 9)] = static_cast<uint8_t>(random());
        bytes.back() = static_cast<uint8_t>(random());
      }
      break;
    case kControlWord:
      Append(&bytes, Chance(random, 30) ? random() : MakeControl(random), 2);
      break;
    case kMxcsr:
      Append(&bytes, MakeStoredMxcsr(random));
      break;
    case kEnvironment:
    case kX87Image:
      while (bytes.size() < kEnvironmentSize) Append(&bytes, random(), 4);
      if (type == kEnvironment) break;
      for (int i = 0; i < 8; ++i) {
        const X87Register reg = MakeF80(random);
        Append(&bytes, reg.significand);
        Append(&bytes, reg.sign_exponent);
      }
      break;
    case kFxImage: {
      FpState state;
      for (X87Register& reg : state.x87.reg) reg = MakeF80(random);
      FxImage image = ToFxImage(state);
      for (size_t i = 0; i < image.size(); ++i) {
        const bool reg = i >= 32 && i < 160 && i % 16 < 10;
        if (!reg) image[i] = static_cast<uint8_t>(random());
      }
      const uint32_t mxcsr = MakeStoredMxcsr(random);
      std::memcpy(&image[24], &mxcsr, 4);
      bytes.assign(image.begin(), image.end());
      break;
    }
    case kNone:
    case kStoredEnvironment:
    case kStoredX87Image:
    case kStoredFxImage:
      break;
    default:
      bytes = MakeLanes(random, type, &related);
      bytes.resize(Info(type).size);
  }
  return bytes;
}

// Where an operand of the type is: mostly where it should be.
uint32_t MakeAddress(Random& random, FpType type) {
  const auto [size, aligned] = Info(type);
  const uint32_t alignment = aligned ? 16 : 1;
  const uint32_t fits = (kFpAreaSize - size) / alignment + 1;
  const uint32_t address = kFpArea + Below(random, fits) * alignment;
  switch (Below(random, 40)) {
    case 0:  // runs into what isn't mapped, or is there
      return kFpAreaEnd - Below(random, (size + alignment - 1) / alignment) * alignment;
    case 1:  // starts there
      return kFpPage - (1 + Below(random, (size - 1) / alignment + 1)) * alignment;
    case 2:
      return aligned ? address - 1 - Below(random, 15) : address;
    default:
      return aligned || Chance(random, 50) ? address : address & ~7u;
  }
}

// Where a large operand faults is the microcode's business.
constexpr Citation kFaultAddress = {"Traps", "the first byte that isn't accessible"};

// Bytes of stored images that guests see otherwise than the CPU has them.
struct ImageField {
  FpType image;
  uint32_t at, size;
  uint8_t byte;  // each of them
  Citation source;
  bool as_before = false;  // they aren't written
};

constexpr std::string_view kUndefined = "What manuals leave undefined";
constexpr Citation kLastInstruction = {kUndefined, "FIP FCS FDP FDS FOP | "},
                   kMxcsrMask = {kUndefined, "MXCSR_MASK is 0xFFFF"},
                   kFxsaveEnd = {kUndefined, "FXSAVE writes the first 288"};

constexpr ImageField kImageFields[] = {
    {kStoredEnvironment, 12, 14, 0, kLastInstruction},
    {kStoredX87Image, 12, 14, 0, kLastInstruction},
    {kStoredFxImage, 6, 18, 0, kLastInstruction},
    {kStoredFxImage, 28, 2, 0xff, kMxcsrMask},
    {kStoredFxImage, 30, 2, 0, kMxcsrMask},
    {kStoredFxImage, 288, kFxImageSize - 288, 0, kFxsaveEnd, true},
};

}  // namespace

void PrintTo(const FpForm& form, std::ostream* out) { *out << form.name; }

std::vector<FpForm> SseArithmeticForms() {
  std::vector<FpForm> forms;
  for (const FpRow& row : kSseRows) {
    for (int predicate = row.predicate ? 0 : -1; predicate < (row.predicate ? 8 : 0); ++predicate) {
      forms.push_back(ExpandSse(row, predicate));
    }
  }
  return forms;
}

std::vector<FpForm> X87ArithmeticForms() {
  std::vector<FpForm> forms;
  for (const FpRow& row : kX87Rows) forms.push_back(ExpandX87(row, true));
  return forms;
}

std::vector<FpForm> FpStateForms() {
  std::vector<FpForm> forms;
  for (const FpRow& row : kStateRows) forms.push_back(ExpandX87(row, false));
  return forms;
}

FpForm MakeSequence(std::span<const FpForm> forms, std::string name, Random& random) {
  FpForm sequence{.name = std::move(name), .rm = kNone, .reg = kNone, .encodings = {{}}};
  std::vector<uint8_t>& code = sequence.encodings[0].code;
  for (uint32_t left = 2 + Below(random, 7); left > 0; --left) {
    const FpForm& form = forms[Below(random, forms.size())];
    // Those whose results depend on more than the state and the first bytes of memory, or on what
    // only some CPUs have.
    const bool left_out = form.rm == kStoredEnvironment || form.rm == kStoredX87Image ||
                          form.rm == kStoredFxImage || form.rm == kFxImage || form.rm == kMxcsr ||
                          form.name == "fnstsw_ax";
    if (left_out) continue;
    const FpEncoding& encoding = form.encodings[Below(random, form.encodings.size())];
    code.insert(code.end(), encoding.code.begin(), encoding.code.end());
    if (!encoding.memory) continue;
    sequence.encodings[0].memory = true;
    // EAX is aligned if any of the operands has to be.
    if (!Info(sequence.rm).aligned) sequence.rm = form.rm;
  }
  if (code.empty()) code = {0x9b};
  return sequence;
}

FpCase MakeFpCase(const FpForm& form, const FpEncoding& encoding, Random& random) {
  FpCase test;
  test.name = form.name;
  test.code = encoding.code;
  FpState& state = test.state;
  state.x87 = MakeX87(random, encoding.waits);
  if (form.name == "fscale" && Chance(random, 50)) {
    X87State& x87 = state.x87;
    const unsigned top = x87.status >> 11 & 7;
    x87.reg[(top + 1) & 7] = MakeScale(random, x87.reg[top]);
    Settle(&x87);
  }
  state.mxcsr = MakeMxcsr(random);
  state.eflags = VX_INITIAL_EFLAGS | StatusFlags(Below(random, 64));
  state.ecx = static_cast<uint32_t>(random());
  state.eax = static_cast<uint32_t>(MakeInteger(random, 32));
  for (Xmm& xmm : state.xmm) {
    const Xmm* const other = &xmm == &state.xmm[0] ? nullptr : &state.xmm[0];
    const std::vector<uint8_t> bytes = MakeLanes(random, form.rm, other);
    std::memcpy(xmm.lane.data(), bytes.data(), 16);
  }
  for (uint8_t& byte : test.area) byte = static_cast<uint8_t>(random());
  if (!encoding.memory) return test;
  state.eax = MakeAddress(random, form.rm);
  const std::vector<uint8_t> bytes = MakeMemory(random, form.rm, state.xmm[5]);
  if (state.eax >= kFpArea && state.eax < kFpAreaEnd) {
    const size_t size = std::min<size_t>(bytes.size(), kFpAreaEnd - state.eax);
    std::copy_n(bytes.begin(), size, test.area.begin() + (state.eax - kFpArea));
  }
  return test;
}

void ApplyAbi(const FpForm& form, const FpCase& test, FpResult* result) {
  if (result->trap && result->trap->cause == TrapCause::kPageFault) {
    const bool starts_mapped = test.state.eax - kFpPage < kFpPageSize;
    result->trap->address = starts_mapped ? kFpAreaEnd : test.state.eax;
  }
  if (result->area.empty()) return;
  const uint32_t at = test.state.eax - kFpArea;  // within the area for those that store there
  for (const ImageField& field : kImageFields) {
    if (field.image != form.rm) continue;
    for (uint32_t i = field.at; i < field.at + field.size; ++i) {
      result->area[at + i] = field.as_before ? test.area[at + i] : field.byte;
    }
  }
}

bool FaultsOfNoStore(const FpCase& test, const FpResult& expected, const FpResult& actual) {
  constexpr uint16_t kMasks = 0x1f;  // all but that of inexact results
  const auto faults = [&](const FpResult& result) {
    return result.trap && result.trap->cause == TrapCause::kPageFault &&
           result.trap->access == Access::kWrite && result.offset == expected.offset;
  };
  if (!faults(expected) || faults(actual) || expected.offset + 1 >= test.code.size() ||
      (expected.state.x87.control & kMasks) == kMasks) {
    return false;
  }
  const uint8_t opcode = test.code[expected.offset];
  const unsigned reg = test.code[expected.offset + 1] >> 3 & 7;
  return (opcode & 0xf9) == 0xd9 &&
         (reg == 2 || reg == 3 || (reg == 7 && (opcode & 2) != 0) || (reg == 6 && opcode == 0xdf));
}

std::vector<Citation> FpDeviationCitations() {
  std::vector<Citation> citations = {
      kFaultAddress,
      {"What manuals leave undefined",
       "nothing is written, and the memory operand isn't looked at"}};
  for (const ImageField& field : kImageFields) citations.push_back(field.source);
  return citations;
}

}  // namespace vx::conformance
