#include "vxengine/translator/address_space.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <new>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace vx {
namespace {

constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
// So many are made present when they are mapped, rather than by a fault each.
constexpr uint32_t kFewPages = 32;
// So many of those that become zero again stay present.
constexpr uint32_t kKept = 64;

constexpr uintptr_t kLowest = VX_LOWEST_ADDRESS;

// Executable pages are for the translator to read: no guest byte is ever executed.
int Protection(uint8_t permissions) {
  return (permissions & Memory::kRead ? PROT_READ : 0) |
         (permissions & Memory::kWrite ? PROT_WRITE : 0);
}

void* Pointer(uintptr_t address) { return reinterpret_cast<void*>(address); }

void Remap(uintptr_t base, uint32_t first, uint32_t count, int protection, int flags) {
  void* const at = Pointer(base + uintptr_t{first} * Memory::kPageSize);
  if (mmap(at, size_t{count} * Memory::kPageSize, protection, kFlags | flags | MAP_FIXED, -1, 0) !=
      at) {
    throw std::bad_alloc();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<AddressSpace>> AddressSpace::Exclusive() {
  void* const at = Pointer(kLowest);
  void* const got = mmap(at, kGuestSpan - kLowest, PROT_NONE, kFlags | MAP_FIXED_NOREPLACE, -1, 0);
  if (got == at) return std::unique_ptr<AddressSpace>(new AddressSpace(0));
  const int error = errno;
  if (got != MAP_FAILED) munmap(got, kGuestSpan - kLowest);
  return absl::UnavailableError(absl::StrCat(
      "host addresses below 4 GiB are not free: ",
      got == MAP_FAILED ? strerror(error) : "the kernel knows no MAP_FIXED_NOREPLACE"));
}

absl::StatusOr<std::unique_ptr<AddressSpace>> AddressSpace::Shared() {
  void* const got = mmap(nullptr, kGuestSpan, PROT_NONE, kFlags, -1, 0);
  if (got == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no 4 GiB of address space for a guest: ", strerror(errno)));
  }
  return std::unique_ptr<AddressSpace>(new AddressSpace(reinterpret_cast<uintptr_t>(got)));
}

AddressSpace::~AddressSpace() {
  const uintptr_t unused = exclusive() ? kLowest : 0;
  munmap(Pointer(base_ + unused), kGuestSpan - unused);
}

void AddressSpace::Map(uint32_t first, uint32_t count, uint8_t permissions) {
  Remap(base_, first, count, Protection(permissions), count <= kFewPages ? MAP_POPULATE : 0);
}

void AddressSpace::Protect(uint32_t first, uint32_t count, uint8_t permissions) {
  void* const at = Pointer(base_ + uintptr_t{first} * Memory::kPageSize);
  if (mprotect(at, size_t{count} * Memory::kPageSize, Protection(permissions)) != 0) {
    throw std::bad_alloc();
  }
}

void AddressSpace::Unmap(uint32_t first, uint32_t count) {
  Remap(base_, first, count, PROT_NONE, 0);
}

// What is present is zeroed where it is, for a fault costs more; the rest is dropped, for what
// isn't present may have been swapped out. (In a jail it can be asked for low addresses alone.)
void AddressSpace::Zero(uint32_t first, uint32_t count) {
  std::vector<unsigned char> present(count);
  if (exclusive() && mincore(Page(first), size_t{count} * Memory::kPageSize, present.data()) != 0) {
    throw std::bad_alloc();
  }
  uint32_t kept = 0;
  for (uint32_t n = 0; n < count;) {
    const uint32_t run = n;
    const bool keep = (present[n] & 1) != 0 && kept < kKept;
    while (n < count && ((present[n] & 1) != 0 && kept < kKept) == keep) {
      ++n;
      kept += keep;
    }
    uint8_t* const at = Page(first + run);
    const size_t size = size_t{n - run} * Memory::kPageSize;
    if (keep) {
      memset(at, 0, size);
    } else if (madvise(at, size, MADV_DONTNEED) != 0) {
      throw std::bad_alloc();
    }
  }
}

}  // namespace vx
