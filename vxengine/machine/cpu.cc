#include "vxengine/machine/cpu.h"

namespace vx {
namespace {

// True if T at the address lies within its page.
template <typename T>
bool InPage(uint32_t address) {
  return address % Memory::kPageSize <= Memory::kPageSize - sizeof(T);
}

}  // namespace

Cpu::Cpu(Memory* memory, Registers* registers, Profile profile)
    : memory_(memory), registers_(registers), profile_(profile) {
  ForgetPages();
}

void Cpu::Enter() {
  for (unsigned i = 0; i < registers_->gpr.size(); ++i) gpr[i] = registers_->gpr[i];
  eip = registers_->eip;
  set_eflags(registers_->eflags);
  if (memory_->generation() != generation_) ForgetPages();
}

void Cpu::Leave() {
  for (unsigned i = 0; i < registers_->gpr.size(); ++i) registers_->gpr[i] = gpr[i];
  registers_->eip = eip;
  registers_->eflags = eflags();
}

void Cpu::ForgetPages() {
  readable_.Clear();
  writable_.Clear();
  generation_ = memory_->generation();
}

const uint8_t* Cpu::FindReadable(uint32_t address) {
  const uint8_t* page = memory_->ReadablePage(address / Memory::kPageSize, Memory::kRead);
  if (page == nullptr) return nullptr;
  readable_.Put(address, page);
  return page + address % Memory::kPageSize;
}

uint8_t* Cpu::FindWritable(uint32_t address) {
  uint8_t* page = memory_->WritablePage(address / Memory::kPageSize);
  // A first write moves the page away from where readers saw its zeroes.
  if (memory_->generation() != generation_) ForgetPages();
  if (page == nullptr) return nullptr;
  writable_.Put(address, page);
  return page + address % Memory::kPageSize;
}

template <typename T>
bool Cpu::LoadSlowly(uint32_t address, T* value) {
  if (InPage<T>(address)) {
    const uint8_t* bytes = Readable(address);
    if (bytes == nullptr) return RaisePageFault(Access::kRead, address);
    *value = GetLittleEndian<T>(bytes);
    return true;
  }
  std::array<uint8_t, sizeof(T)> bytes;
  uint32_t fault;
  if (!memory_->Read(address, bytes, &fault)) return RaisePageFault(Access::kRead, fault);
  *value = GetLittleEndian<T>(bytes.data());
  return true;
}

template <typename T>
bool Cpu::StoreSlowly(uint32_t address, T value) {
  if (InPage<T>(address)) {
    uint8_t* bytes = Writable(address);
    if (bytes == nullptr) return RaisePageFault(Access::kWrite, address);
    PutLittleEndian<T>(bytes, value);
    return true;
  }
  std::array<uint8_t, sizeof(T)> bytes;
  PutLittleEndian<T>(bytes.data(), value);
  uint32_t fault;
  if (!memory_->Write(address, bytes, &fault)) return RaisePageFault(Access::kWrite, fault);
  if (memory_->generation() != generation_) ForgetPages();
  return true;
}

template <typename T>
bool Cpu::LoadToModify(uint32_t address, T* value) {
  return CheckWrite(address, sizeof(T)) && LoadSlowly(address, value);
}

template bool Cpu::LoadSlowly(uint32_t, uint8_t*);
template bool Cpu::LoadSlowly(uint32_t, uint16_t*);
template bool Cpu::LoadSlowly(uint32_t, uint32_t*);
template bool Cpu::LoadSlowly(uint32_t, uint64_t*);
template bool Cpu::LoadSlowly(uint32_t, Xmm*);
template bool Cpu::StoreSlowly(uint32_t, uint8_t);
template bool Cpu::StoreSlowly(uint32_t, uint16_t);
template bool Cpu::StoreSlowly(uint32_t, uint32_t);
template bool Cpu::StoreSlowly(uint32_t, uint64_t);
template bool Cpu::StoreSlowly(uint32_t, Xmm);
template bool Cpu::LoadToModify(uint32_t, uint8_t*);
template bool Cpu::LoadToModify(uint32_t, uint16_t*);
template bool Cpu::LoadToModify(uint32_t, uint32_t*);
template bool Cpu::LoadToModify(uint32_t, uint64_t*);

bool Cpu::CheckRead(uint32_t address, uint32_t size) {
  uint32_t fault;
  return memory_->Check(address, size, Memory::kRead, &fault) ||
         RaisePageFault(Access::kRead, fault);
}

bool Cpu::CheckWrite(uint32_t address, uint32_t size) {
  uint32_t fault;
  return memory_->Check(address, size, Memory::kWrite, &fault) ||
         RaisePageFault(Access::kWrite, fault);
}

bool Cpu::Raise(TrapCause cause) {
  trap_ = {.cause = cause};
  return StopFor(Interpreter::Stop::kTrap);
}

bool Cpu::RaisePageFault(Access access, uint32_t address) {
  trap_ = {.cause = TrapCause::kPageFault, .access = access, .address = address};
  return StopFor(Interpreter::Stop::kTrap);
}

bool Cpu::StopFor(Interpreter::Stop stop) {
  stop_ = stop;
  return false;
}

}  // namespace vx
