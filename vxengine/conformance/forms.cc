#include "vxengine/conformance/forms.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace vx::conformance {
namespace {

constexpr absl::string_view kConditions[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                               "s", "ns", "p", "np", "l", "ge", "le", "g"};

uint8_t SizeOf(char letter, uint8_t v) {
  switch (letter) {
    case 'b':
    case 's':
      return 1;
    case 'w':
      return 2;
    case 'd':
      return 4;
    case 'q':
      return 8;
    case 'x':
      return 16;
    case 'a':
      return 2 * v;
    default:
      return v;
  }
}

void AddOperand(absl::string_view operand, bool first, uint8_t v, Form* form) {
  const char kind = operand[0];
  if (operand.size() != 2 || !absl::ascii_isupper(kind)) return;
  const uint8_t size = SizeOf(operand[1], v);
  if (first) form->size = size;
  switch (kind) {
    case 'E':
    case 'R':
    case 'M':
    case 'W':
    case 'U':
      form->rm = kind;
      form->rm_size = size;
      form->rm_is_destination = first;
      break;
    case 'G':
    case 'V':
      form->reg = kind;
      form->reg_size = size;
      break;
    case 'Z':
      form->low_register_size = size;
      break;
    case 'O':
      form->address = true;
      form->rm_size = size;
      break;
    case 'I':
      form->immediate = size;
  }
}

std::vector<std::string> Split(std::string_view text, char separator) {
  return absl::StrSplit(absl::string_view(text.data(), text.size()), separator);
}

// `v`: 2 or 4, what the letter v stands for; 0 in rows without one.
Form ExpandOne(const Row& row, uint8_t v, int condition) {
  Form form;
  form.rule = row.rule;
  form.inputs = row.inputs;
  if (v == 2) form.opcode.push_back(0x66);
  if (v != 0) form.size = v;
  for (const std::string& token : Split(row.opcode, ' ')) {
    uint32_t number;
    if (token[0] == '/') {
      form.digit = token[1] - '0';
    } else if (absl::SimpleHexAtoi(token, &number)) {
      form.opcode.push_back(number);
    }
  }
  const std::vector<std::string> parts = Split(row.syntax, ' ');
  form.name = parts[0];
  if (condition >= 0) {
    form.opcode.back() += condition;
    form.name = absl::StrReplaceAll(form.name, {{"cc", kConditions[condition]}});
  }
  if (parts.size() == 1) return form;
  bool first = true;
  for (const std::string& operand : Split(parts[1], ',')) {
    AddOperand(operand, std::exchange(first, false), v, &form);
    absl::StrAppend(&form.name, "_", absl::StrReplaceAll(operand, {{"v", v == 2 ? "w" : "d"}}));
  }
  return form;
}

bool HasSizeLetter(const Row& row) {
  const size_t space = row.syntax.find(' ');
  return space != row.syntax.npos && row.syntax.find('v', space) != row.syntax.npos;
}

}  // namespace

void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

std::vector<Form> Expand(std::span<const Row> rows) {
  std::vector<Form> forms;
  for (const Row& row : rows) {
    const bool conditional = row.syntax.find("cc") != row.syntax.npos;
    for (int condition = conditional ? 0 : -1; condition < (conditional ? 16 : 0); ++condition) {
      if (!HasSizeLetter(row)) {
        forms.push_back(ExpandOne(row, 0, condition));
        continue;
      }
      for (uint8_t v : {2, 4}) forms.push_back(ExpandOne(row, v, condition));
    }
  }
  return forms;
}

uint32_t Below(Random& random, uint32_t limit) { return random() % limit; }

uint32_t EdgeValue(Random& random) {
  constexpr uint32_t kEdges[] = {0,          1,          2,          0x7f,      0x80,
                                 0xff,       0x7fff,     0x8000,     0xffff,    0x7fffffff,
                                 0x80000000, 0xffffffff, 0x100,      0x10000,   0xffffff80,
                                 0xffff8000, 0x80808080, 0x7f7f7f7f, 0x55,      0xaaaaaaaa,
                                 0x0f0f0f0f, 0x00ff00ff, 0x99999999, 0x09090909};
  switch (Below(random, 8)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return kEdges[Below(random, std::size(kEdges))];
    case 4:
      return kEdges[Below(random, std::size(kEdges))] + Below(random, 5) - 2;
    case 5:
      return Below(random, 256) | Below(random, 256) << 8;
    default:
      return random();
  }
}

State RandomState(Random& random, bool with_xmm) {
  State state;
  for (uint32_t& gpr : state.gpr) gpr = EdgeValue(random);
  state.gpr[kEsp] = kData + 0x400 + 4 * Below(random, 0x400);
  state.eflags = VX_INITIAL_EFLAGS | (random() & kStatusFlags);
  if (Below(random, 8) == 0) state.eflags |= kDf;
  if (Below(random, 8) == 0) state.eflags |= kId;
  if (!with_xmm) return state;
  for (Xmm& xmm : state.xmm) {
    for (uint64_t& lane : xmm.lane) {
      lane = EdgeValue(random) | static_cast<uint64_t>(EdgeValue(random)) << 32;
    }
  }
  return state;
}

std::vector<uint8_t> EncodeAddress(Random& random, int reg_field, uint32_t target,
                                   const SetRegister& set) {
  const auto modrm = [reg_field](int mod, int rm) -> uint8_t {
    return mod << 6 | reg_field << 3 | rm;
  };
  const auto with_word = [](std::vector<uint8_t> bytes, uint32_t word) {
    for (int i = 0; i < 4; ++i) bytes.push_back(word >> (8 * i));
    return bytes;
  };
  const int shape = Below(random, 8);
  if (shape == 0) return with_word({modrm(0, 5)}, target);

  // An index that is none (4, ESP) is allowed with any scale.
  const bool has_sib = shape >= 4;
  const int scale = Below(random, 4), index = Below(random, 8);
  uint32_t offset = 0;
  if (has_sib && index != kEsp) offset = set(index, random() >> (32 + Below(random, 32))) << scale;
  if (shape == 7) {  // no base
    return with_word({modrm(0, 4), static_cast<uint8_t>(scale << 6 | index << 3 | 5)},
                     target - offset);
  }

  const int base = Below(random, 8);
  const uint32_t wish[] = {0, Below(random, 256) - 128, static_cast<uint32_t>(random())};
  const uint32_t start = set(base, target - offset - wish[Below(random, 3)]);
  const uint32_t displacement = target - offset - start;
  const bool small = displacement + 128 < 256;
  int mod = displacement == 0 && base != kEbp ? Below(random, 3) : small ? 1 + Below(random, 2) : 2;
  std::vector<uint8_t> bytes;
  if (has_sib || base == kEsp) {
    bytes = {modrm(mod, 4),
             static_cast<uint8_t>(scale << 6 | (has_sib ? index : int{kEsp}) << 3 | base)};
  } else {
    bytes = {modrm(mod, base)};
  }
  if (mod == 1) bytes.push_back(displacement);
  return mod == 2 ? with_word(bytes, displacement) : bytes;
}

uint32_t OperandAddress(Random& random, uint32_t size) {
  const uint32_t align = std::max<uint32_t>(size, 1);
  switch (Below(random, 32)) {
    case 0:
      return kDataEnd - Below(random, align + 2);  // across the end, or behind it
    case 1:
      return kData - 1 - Below(random, align + 2);  // before or across the start
    case 2:  // nowhere near anything, but clear of wrapping round
      return Below(random, 2) ? 0x100 + Below(random, 64) : kCode + kCodeSize + Below(random, 64);
    case 3:
    case 4:
      return kDataEnd - align;
    case 5:
    case 6:
      return kData + VX_PAGE_SIZE - Below(random, align);  // across pages
    case 7:
      return kData;
    case 8:
    case 9:
    case 10:
    case 11:
      return kData + Below(random, kDataSize - align);
    default:
      return kData + align * Below(random, kDataSize / align);
  }
}

}  // namespace vx::conformance
