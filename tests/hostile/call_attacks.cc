// The host's system calls, by every number and way in; VX's own with hostile arguments.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/hostile/attacks.h"
#include "vxengine/testing/guest_code.h"

namespace vx::hostile {
namespace {

using testing::Bytes;
using testing::Exit;
using testing::ExitWithResult;
using testing::Mov;
using testing::Syscall;

// cmp eax, value; je over; exit with `status`; over:
std::string CheckResult(uint32_t value, uint32_t status) {
  const std::string fail = Exit(status);
  return Bytes({0x3d}) + testing::Imm32(value) + Bytes({0x74, static_cast<uint8_t>(fail.size())}) +
         fail;
}

// For EDI from ESI on, up to `end`: `body`.
std::string Loop(const std::string& body, uint32_t end) {
  const std::string code = body + Bytes({0x47, 0x81, 0xff}) + testing::Imm32(end);  // inc edi; cmp
  return code + Bytes({0x0f, 0x85}) + testing::Imm32(-static_cast<uint32_t>(code.size() + 6));
}

// Whether the host would do it or not: by 32-bit Linux's ways in, and its vDSO's.
void AddHostCalls(TableBuilder* table) {
  struct Way {
    const char* name;
    std::string code;
  };
  const Way ways[] = {{"int 0x80", Bytes({0xcd, 0x80})},
                      {"sysenter", Bytes({0x0f, 0x34})},
                      {"call gs:[0x10]", Bytes({0x65, 0xff, 0x15, 0x10, 0, 0, 0})}};
  for (const Way& way : ways) {
    const uint32_t eip = table->Code(way.code + Exit(7));
    for (uint32_t number = 0; number < 512; ++number) {
      table->Add(absl::StrCat(way.name, ", number ", number), eip,
                 {{kEax, number}, {kEbx, 1}, {kEcx, kData}, {kEdx, 1}},
                 Traps(TrapCause::kInvalidOpcode, eip));
    }
  }
  // SYSCALL is VX's: all numbers but its four fail, and keep all other registers. Edges are tried
  // beside the first 64 Ki.
  const std::string fail = Exit(1);
  const auto check = [&fail](uint8_t gpr, uint32_t value) {  // cmp gpr, value; je over; ...
    return Bytes({0x81, static_cast<uint8_t>(0xf8 | gpr)}) + testing::Imm32(value) +
           Bytes({0x74, static_cast<uint8_t>(fail.size())}) + fail;
  };
  const std::string one = Bytes({0x89, 0xf8}) + Syscall() +  // mov eax, edi
                          CheckResult(-uint32_t{VX_ENOSYS}, 2) + check(kEbx, 1) +
                          check(kEcx, kData) + check(kEdx, 1);
  const uint32_t all = table->Code(Loop(one, 0x10000) + Exit(7));
  const std::map<Gpr, uint32_t> arguments = {{kEbx, 1}, {kEcx, kData}, {kEdx, 1}, {kEdi, 5}};
  table->Add("syscall, numbers 5 to 65535", all, arguments, Exits(7));
  const uint32_t single = table->Code(Syscall() + ExitWithResult());
  for (uint32_t number : {0u, 0x40000000u, 0x40000001u, 0x7fffffffu, 0x80000001u, 0xffffffffu}) {
    table->Add(absl::StrCat("syscall, number ", number), single, {{kEax, number}},
               Exits(-uint32_t{VX_ENOSYS}));
  }
}

void AddDescriptors(TableBuilder* table) {
  // mov edx, edi; mov eax, number; syscall
  const auto one = [](uint32_t number) {
    return Bytes({0x89, 0xfa}) + Mov(kEax, number) + Syscall() +
           CheckResult(-uint32_t{VX_EBADF}, 1);
  };
  const std::map<Gpr, uint32_t> from_3 = {{kEdi, 3}, {kEcx, kData}, {kEbx, 16}};
  table->Add("read from descriptors 1 to 65535",
             table->Code(Loop(one(VX_CALL_READ), 0x10000) + Exit(7)),
             {{kEdi, 1}, {kEcx, kData}, {kEbx, 16}}, Exits(7));
  table->Add("write to descriptors 3 to 65535",
             table->Code(Loop(one(VX_CALL_WRITE), 0x10000) + Exit(7)), from_3, Exits(7));
  const uint32_t single = table->Code(Syscall() + ExitWithResult());
  for (uint32_t fd : {0xffffffffu, 0x80000000u, 0x7fffffffu, 0x10000u, 0xffffff9cu}) {
    for (uint32_t number : {VX_CALL_READ, VX_CALL_WRITE}) {
      table->Add(absl::StrCat("call ", number, ", descriptor ", fd), single,
                 {{kEax, number}, {kEdx, fd}, {kEcx, kData}, {kEbx, 1}},
                 Exits(-uint32_t{VX_EBADF}));
    }
  }
  table->Add("write to the input", single, {{kEax, VX_CALL_WRITE}, {kEcx, kData}, {kEbx, 1}},
             Exits(-uint32_t{VX_EBADF}));
}

void AddBuffers(TableBuilder* table) {
  const uint32_t single = table->Code(Syscall() + ExitWithResult());
  struct Buffer {
    const char* name;
    uint32_t address, length;
  };
  const Buffer buffers[] = {
      {"of all there is", 0, 0x7fffffff},
      {"longer than may be", kData, 0x80000000},
      {"of 4 GiB less a byte", kData, 0xffffffff},
      {"at 0", 0, 1},
      {"up to the lowest page", VX_LOWEST_ADDRESS - 1, 1},
      {"at the last byte", 0xffffffff, 1},
      {"that wraps", 0xffffffff, 2},
      {"that wraps to what there is", kData + 0x80000000, 0x7fffffff},
      {"that wraps to itself", 0xfffffff0, 0x7fffffff},
      {"of code", testing::kCodeAddress, 16},
      {"from the stack into code", testing::kCodeAddress - 8, 16},
      {"from below the stack", kStackLow - 1, 2},
      {"of all the stack", kStackLow, VX_STACK_SIZE},
      {"past the data", kDataEnd - 1, 2},
      {"of all data", kData, testing::kDataSize},
      {"from before the data", kData - 1, 2},
      {"that is read-only", kReadOnly, 1},
      {"from the data to the read-only page", kData, kReadOnly + 1 - kData},
      {"of nothing, nowhere", 0xffffffff, 0},
      {"above the highest page", VX_HIGHEST_ADDRESS, 1},
  };
  for (const Buffer& buffer : buffers) {
    for (bool is_read : {true, false}) {
      uint32_t fault, result = 0;
      if (buffer.length > VX_MAX_TRANSFER) {
        result = -uint32_t{VX_EINVAL};
      } else if (buffer.length != 0 &&
                 table->FindFault(buffer.address, buffer.length,
                                  is_read ? Access::kWrite : Access::kRead, &fault)) {
        result = -uint32_t{VX_EFAULT};
      } else if (!is_read) {
        result = buffer.length;
      }
      table->Add(
          absl::StrCat(is_read ? "read into a buffer " : "write from a buffer ", buffer.name),
          single,
          {{kEax, is_read ? VX_CALL_READ : VX_CALL_WRITE},
           {kEdx, is_read ? 0u : 2u},
           {kEcx, buffer.address},
           {kEbx, buffer.length}},
          Exits(result));
    }
  }
  // Bytes read over the place where they are then read from, and over the stack.
  const std::string read = testing::Call(VX_CALL_READ, 0, kData, 8);
  const std::string write = testing::Write(1, kData, 8);
  Attack& twice = table->Add(
      "read over what was read",
      table->Code(read + write + testing::Call(VX_CALL_READ, 0, kData + 4, 8) + write + Exit(7)),
      {}, Exits(7));
  twice.input += "abcdefghijklmnop";
  twice.output = "abcdefghabcdijkl";
  const uint32_t ret = table->Code(testing::Call(VX_CALL_READ, 0, kStack, 4) + Bytes({0xc3}));
  Attack& smash = table->Add("read a return address over the stack", ret, {},
                             Faults(Access::kFetch, 0x41414141, 0x41414141));
  smash.input += "AAAA";
}

void AddBreaks(TableBuilder* table) {
  const uint32_t single = table->Code(Syscall() + ExitWithResult());
  const uint32_t heap = kReadOnly + 0x3000;  // behind the command's page
  struct Break {
    uint32_t wanted, result;
  };
  const Break breaks[] = {{0, 0},
                          {1, 0},
                          {kData, 0},
                          {testing::kCodeAddress, 0},
                          {heap - 1, 0},
                          {heap + 1, 0},
                          {0x80000000, -uint32_t{VX_ENOMEM}},
                          {VX_HIGHEST_ADDRESS, -uint32_t{VX_ENOMEM}},
                          {VX_HIGHEST_ADDRESS + 1, -uint32_t{VX_ENOMEM}},
                          {0xffffffff, -uint32_t{VX_ENOMEM}}};
  for (const Break& each : breaks) {
    table->Add(absl::StrFormat("brk 0x%x", each.wanted), single,
               {{kEax, VX_CALL_BRK}, {kEdx, each.wanted}}, Exits(each.result));
  }
  // Up, a store, down, and a load of what is gone; or up again, where it is zero.
  const std::string up = testing::Call(VX_CALL_BRK, heap + 0x3000);
  const std::string store = Bytes({0xc7, 0x07, 1, 2, 3, 4}), load = Bytes({0x8b, 0x17});
  const std::string down = testing::Call(VX_CALL_BRK, heap + 1);
  const std::string exit = Mov(kEax, VX_CALL_EXIT) + Syscall();
  const std::string gone = up + store + down;
  const uint32_t eip = table->Code(gone + load + exit);
  table->Add("use after brk", eip, {{kEdi, heap + 0x2000}},
             Faults(Access::kRead, heap + 0x2000, eip + static_cast<uint32_t>(gone.size())));
  table->Add("find what brk took", table->Code(gone + up + load + exit), {{kEdi, heap + 0x2000}},
             Exits(0));
}

}  // namespace

Table CallAttacks() {
  TableBuilder table;
  AddHostCalls(&table);
  AddDescriptors(&table);
  AddBuffers(&table);
  AddBreaks(&table);
  return table.Finish();
}

}  // namespace vx::hostile
