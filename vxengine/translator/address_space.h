// 4 GiB of host address space for one guest, with guards, so that whatever a 32-bit address reaches
// is the guest's or faults.
#ifndef VXENGINE_TRANSLATOR_ADDRESS_SPACE_H_
#define VXENGINE_TRANSLATOR_ADDRESS_SPACE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "vxengine/machine/memory.h"
#include "vxengine/translator/context.h"

namespace vx {

class AddressSpace final : public Memory::Backing {
 public:
  // Reserves host addresses 0 to 4 GiB, of which the first 64 KiB stay unmapped, as the kernel
  // keeps them (vm.mmap_min_addr) and guests can't use them. UNAVAILABLE where something lies
  // there: there is one such guest in a process.
  static absl::StatusOr<std::unique_ptr<AddressSpace>> Exclusive();

  // Reserves them anywhere. RESOURCE_EXHAUSTED if the process may not have so much.
  static absl::StatusOr<std::unique_ptr<AddressSpace>> Shared();

  ~AddressSpace() override;

  bool exclusive() const { return base_ == 0; }

  uintptr_t base() const override { return base_; }
  void Map(uint32_t first, uint32_t count, uint8_t permissions) override;
  void Protect(uint32_t first, uint32_t count, uint8_t permissions) override;
  void Unmap(uint32_t first, uint32_t count) override;
  void Zero(uint32_t first, uint32_t count) override;

 private:
  explicit AddressSpace(uintptr_t base) : base_(base) {}

  const uintptr_t base_;
};

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_ADDRESS_SPACE_H_
