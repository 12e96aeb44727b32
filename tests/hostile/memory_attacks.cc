// Wild accesses by every kind of instruction that has a memory operand or a stack; and string
// instructions across the ends of the address space.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "tests/hostile/attacks.h"
#include "vxengine/testing/guest_code.h"

namespace vx::hostile {
namespace {

using testing::Bytes;
using testing::Exit;

// An instruction with an operand at EDI, or with ESP at EDI where `offset` tells how far from it.
struct Accessing {
  const char* name;
  std::string code;
  uint32_t size;
  Access access;
  uint32_t alignment = 1;  // that it insists on
  int32_t offset = 0;
  bool on_stack = false;
};

const Accessing kAccessing[] = {
    {"mov al, m", Bytes({0x8a, 0x07}), 1, Access::kRead},
    {"mov ax, m", Bytes({0x66, 0x8b, 0x07}), 2, Access::kRead},
    {"mov eax, m", Bytes({0x8b, 0x07}), 4, Access::kRead},
    {"mov m, al", Bytes({0x88, 0x07}), 1, Access::kWrite},
    {"mov m, ax", Bytes({0x66, 0x89, 0x07}), 2, Access::kWrite},
    {"mov m, eax", Bytes({0x89, 0x07}), 4, Access::kWrite},
    {"mov m, imm", Bytes({0xc7, 0x07, 1, 2, 3, 4}), 4, Access::kWrite},
    {"add m, eax", Bytes({0x01, 0x07}), 4, Access::kWrite},
    {"lock xadd m, eax", Bytes({0xf0, 0x0f, 0xc1, 0x07}), 4, Access::kWrite},
    {"cmp m, eax", Bytes({0x39, 0x07}), 4, Access::kRead},
    {"not byte m", Bytes({0xf6, 0x17}), 1, Access::kWrite},
    {"shl m, 0", Bytes({0xc1, 0x27, 0}), 4, Access::kWrite},
    {"xchg m, eax", Bytes({0x87, 0x07}), 4, Access::kWrite},
    {"cmpxchg m, eax", Bytes({0x0f, 0xb1, 0x07}), 4, Access::kWrite},
    {"cmpxchg8b m", Bytes({0x0f, 0xc7, 0x0f}), 8, Access::kWrite},
    {"bts m, 31", Bytes({0x0f, 0xba, 0x2f, 31}), 4, Access::kWrite},
    {"setz m", Bytes({0x0f, 0x94, 0x07}), 1, Access::kWrite},
    {"cmovz eax, m", Bytes({0x0f, 0x44, 0x07}), 4, Access::kRead},
    {"movzx eax, word m", Bytes({0x0f, 0xb7, 0x07}), 2, Access::kRead},
    {"mul m", Bytes({0xf7, 0x27}), 4, Access::kRead},
    {"shld m, eax, 1", Bytes({0x0f, 0xa4, 0x07, 1}), 4, Access::kWrite},
    {"movsd, load", Bytes({0xf2, 0x0f, 0x10, 0x07}), 8, Access::kRead},
    {"movups, load", Bytes({0x0f, 0x10, 0x07}), 16, Access::kRead},
    {"movups, store", Bytes({0x0f, 0x11, 0x07}), 16, Access::kWrite},
    {"movaps, load", Bytes({0x0f, 0x28, 0x07}), 16, Access::kRead, 16},
    {"movaps, store", Bytes({0x0f, 0x29, 0x07}), 16, Access::kWrite, 16},
    {"movntdq", Bytes({0x66, 0x0f, 0xe7, 0x07}), 16, Access::kWrite, 16},
    {"paddb xmm, m", Bytes({0x66, 0x0f, 0xfc, 0x07}), 16, Access::kRead, 16},
    {"cvtdq2pd xmm, m", Bytes({0xf3, 0x0f, 0xe6, 0x07}), 8, Access::kRead},
    {"movnti", Bytes({0x0f, 0xc3, 0x07}), 4, Access::kWrite},
    {"clflush", Bytes({0x0f, 0xae, 0x3f}), 1, Access::kRead},
    {"fld m32", Bytes({0xd9, 0x07}), 4, Access::kRead},
    {"fld m80", Bytes({0xdb, 0x2f}), 10, Access::kRead},
    {"fild m64", Bytes({0xdf, 0x2f}), 8, Access::kRead},
    {"fnstcw", Bytes({0xd9, 0x3f}), 2, Access::kWrite},
    {"fnstenv", Bytes({0xd9, 0x37}), 28, Access::kWrite},
    {"fnsave", Bytes({0xdd, 0x37}), 108, Access::kWrite},
    {"fxsave", Bytes({0x0f, 0xae, 0x07}), 512, Access::kWrite, 16},
    {"stmxcsr", Bytes({0x0f, 0xae, 0x1f}), 4, Access::kWrite},
    {"stosb", Bytes({0xaa}), 1, Access::kWrite},
    {"scasd", Bytes({0xaf}), 4, Access::kRead},
    {"push eax", Bytes({0x50}), 4, Access::kWrite, 1, -4, true},
    {"push ax", Bytes({0x66, 0x50}), 2, Access::kWrite, 1, -2, true},
    {"pushf", Bytes({0x9c}), 4, Access::kWrite, 1, -4, true},
    {"pusha", Bytes({0x60}), 32, Access::kWrite, 1, -32, true},
    {"call", Bytes({0xe8, 0, 0, 0, 0}), 4, Access::kWrite, 1, -4, true},
    {"call eax", Bytes({0xff, 0xd0}), 4, Access::kWrite, 1, -4, true},
    {"pop eax", Bytes({0x58}), 4, Access::kRead, 1, 0, true},
    {"popa", Bytes({0x61}), 32, Access::kRead, 1, 0, true},
    {"popf", Bytes({0x9d}), 4, Access::kRead, 1, 0, true},
};

// PUSHA begins at the upper end.
bool FindFaultOfPusha(const TableBuilder& table, uint32_t address, uint32_t* fault) {
  for (uint32_t at = 32; at > 0; at -= 4) {
    if (table.FindFault(address + at - 4, 4, Access::kWrite, fault)) return true;
  }
  return false;
}

// Where an access of `size` bytes may go wrong.
std::vector<uint32_t> WildAddresses(uint32_t size) {
  std::vector<uint32_t> addresses = {
      0,          4,          0xfff,      0x1000,     VX_LOWEST_ADDRESS, 0x7fffffff,
      0x80000000, 0xbffff000, 0xc0000000, 0xffffe000, 0xfffffffc};
  for (uint32_t n = 0; n < 16; ++n) addresses.push_back(n << 28 | 0x07654321);
  for (uint32_t edge : {0u, kStackLow, testing::kCodeAddress, kData, kDataEnd, kReadOnly,
                        kReadOnly + VX_PAGE_SIZE, VX_HIGHEST_ADDRESS}) {
    addresses.push_back(edge - size);
    addresses.push_back(edge - size + 1);
    addresses.push_back(edge - 1);
    addresses.push_back(edge);
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

// Whatever base, index and displacement wrap to.
void AddWrappedAddresses(TableBuilder* table) {
  struct Wrapped {
    uint32_t ebx, ecx, displacement;
  };
  const Wrapped all[] = {{0xffffffff, 0xffffffff, 0x7fffffff},
                         {0x80000000, 0x80000000, 0x80000000},
                         {0xffffffff, 1, 0xffffffff},
                         {0, 0x20000000, kData},
                         {0xfffffff0, 0, kData + 0x10},
                         {1, 0xffffffff, kData + 7},
                         {kData, 0x1fffffff, 8},
                         {0x12345678, 0xfedcba98, 0x13579bdf}};
  for (const Wrapped& wrapped : all) {
    const uint32_t address = wrapped.ebx + wrapped.ecx * 8 + wrapped.displacement;
    for (bool is_store : {false, true}) {
      // mov eax, [ebx + ecx*8 + displacement], or the other way round
      const std::string code = Bytes({static_cast<uint8_t>(is_store ? 0x89 : 0x8b), 0x84, 0xcb}) +
                               testing::Imm32(wrapped.displacement);
      const uint32_t eip = table->Code(code + Exit(7));
      const Access access = is_store ? Access::kWrite : Access::kRead;
      uint32_t fault;
      const bool faults = table->FindFault(address, 4, access, &fault);
      table->Add(absl::StrFormat("%s [0x%x + 0x%x*8 + 0x%x]", is_store ? "store to" : "load from",
                                 wrapped.ebx, wrapped.ecx, wrapped.displacement),
                 eip, {{kEbx, wrapped.ebx}, {kEcx, wrapped.ecx}},
                 faults ? Faults(access, fault, eip) : Exits(7));
    }
  }
}

struct StringInstruction {
  const char* name;
  uint8_t opcode;
  bool loads;          // at ESI
  bool reads, stores;  // at EDI
  bool compares;       // and so ends a REPNE, as all is equal
};

constexpr StringInstruction kStrings[] = {
    {"movs", 0xa4, true, false, true, false},  {"cmps", 0xa6, true, true, false, true},
    {"stos", 0xaa, false, false, true, false}, {"lods", 0xac, true, false, false, false},
    {"scas", 0xae, false, true, false, true},
};

struct StringAttack {
  const StringInstruction& instruction;
  uint32_t size;   // of an element
  uint8_t repeat;  // F3, F2 or 0
  uint8_t prefix;  // that means nothing, or 0
  bool backward;
  uint32_t esi, edi;
};

void AddString(TableBuilder* table, const StringAttack& attack) {
  std::string code = Bytes({static_cast<uint8_t>(attack.backward ? 0xfd : 0xfc)});  // std, cld
  if (attack.prefix != 0) code += Bytes({attack.prefix});
  if (attack.repeat != 0) code += Bytes({attack.repeat});
  if (attack.size == 2) code += Bytes({0x66});
  code += Bytes({static_cast<uint8_t>(attack.instruction.opcode + (attack.size > 1 ? 1 : 0))});
  const uint32_t eip = table->Code(code + Exit(7));
  // All memory is zero, and so is EAX.
  const bool once = attack.repeat == 0 || (attack.repeat == 0xf2 && attack.instruction.compares);
  std::string expected = Exits(7);
  const uint32_t step = attack.backward ? -attack.size : attack.size;
  for (uint32_t n = 0; n < (once ? 1 : 0x10000); ++n) {
    uint32_t fault;
    const auto faults = [&](bool does, uint32_t start, Access access) {
      if (!does || !table->FindFault(start + n * step, attack.size, access, &fault)) return false;
      expected = Faults(access, fault, eip + 1);
      return true;
    };
    if (faults(attack.instruction.loads, attack.esi, Access::kRead) ||
        faults(attack.instruction.reads, attack.edi, Access::kRead) ||
        faults(attack.instruction.stores, attack.edi, Access::kWrite)) {
      break;
    }
  }
  table->Add(absl::StrFormat("%s of %d bytes, prefixes %x %x, %s, esi 0x%x, edi 0x%x",
                             attack.instruction.name, attack.size, attack.prefix, attack.repeat,
                             attack.backward ? "backward" : "forward", attack.esi, attack.edi),
             eip, {{kEsi, attack.esi}, {kEdi, attack.edi}, {kEcx, 0xffffffff}}, expected);
}

}  // namespace

Table MemoryAttacks() {
  TableBuilder table;
  for (const Accessing& what : kAccessing) {
    const uint32_t eip = table.Code(what.code + Bytes({0xfc}) + Exit(7));
    for (uint32_t address : WildAddresses(what.size)) {
      uint32_t fault;
      std::string expected;
      if (address % what.alignment != 0) {
        expected = Traps(TrapCause::kGeneralProtection, eip);
      } else if (what.code[0] == '\x60'
                     ? FindFaultOfPusha(table, address, &fault)
                     : table.FindFault(address, what.size, what.access, &fault)) {
        expected = Faults(what.access, fault, eip);
      } else if (what.on_stack && what.code[0] == '\xff') {
        expected = Faults(Access::kFetch, 0x666, 0x666);
      } else {
        expected = Exits(7);
      }
      const Gpr base = what.on_stack ? kEsp : kEdi;
      table.Add(absl::StrFormat("%s at 0x%08x", what.name, address), eip,
                {{kEax, 0x666}, {base, address - static_cast<uint32_t>(what.offset)}}, expected);
    }
  }
  AddWrappedAddresses(&table);
  return table.Finish();
}

Table StringAttacks() {
  TableBuilder table(/*has_high_page=*/true);
  for (const StringInstruction& instruction : kStrings) {
    for (uint32_t size : {1, 2, 4}) {
      for (uint8_t repeat : {0, 0xf2, 0xf3}) {
        for (uint8_t prefix : {0, 0x26, 0x2e, 0x36, 0x3e}) {
          for (bool backward : {false, true}) {
            const auto add = [&](uint32_t esi, uint32_t edi) {
              AddString(&table, {instruction, size, repeat, prefix, backward, esi, edi});
            };
            if (prefix == 0) {
              for (uint32_t edge : {0xfffffffeu, 0xffffffffu, 0u, 1u}) {
                add(edge, edge);
                add(edge, edge ^ 0x80000003);
              }
            }
            // At the ends of what there can be.
            const uint32_t data = backward ? kData + 0x203 : kDataEnd - 0x203;
            add(data, VX_HIGHEST_ADDRESS - 3);
            add(VX_HIGHEST_ADDRESS - 7, data);
            add(kHigh + 0x100, data + 1);
            if (backward) add(kStackLow + 5, kHigh + 5);
            if (prefix == 0) add(kHigh + 8, kHigh + 11);
          }
        }
      }
    }
  }
  return table.Finish();
}

}  // namespace vx::hostile
