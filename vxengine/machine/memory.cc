#include "vxengine/machine/memory.h"

#include <algorithm>
#include <cstring>

namespace vx {
namespace {

constexpr uint32_t kLeafPages = 1024;
constexpr uint64_t kAddressSpace = uint64_t{1} << 32;

// What every page that was never written reads as.
constexpr std::array<uint8_t, Memory::kPageSize> kZeroPage{};

// The bytes of [address, end) that lie in the page of `address`.
uint32_t BytesInPage(uint64_t address, uint64_t end) {
  const uint64_t rest = Memory::kPageSize - address % Memory::kPageSize;
  return static_cast<uint32_t>(std::min(rest, end - address));
}

}  // namespace

struct Memory::Page {
  std::unique_ptr<uint8_t[]> bytes;  // null until written
  uint8_t permissions = kNone;
  bool mapped = false;
};

// The pages of 4 MiB of address space.
struct Memory::Leaf {
  std::array<Page, kLeafPages> pages;
};

Memory::Memory(Backing* backing) : backing_(backing) {}
Memory::~Memory() = default;

uint8_t* Memory::Backing::Page(uint32_t page) const {
  return reinterpret_cast<uint8_t*>(base() + uintptr_t{page} * kPageSize);
}

const uint8_t* Memory::Bytes(uint32_t page, const Page& entry) const {
  if (backing_ != nullptr) return backing_->Page(page);
  return entry.bytes ? entry.bytes.get() : kZeroPage.data();
}

uint8_t* Memory::OwnBytes(uint32_t page, Page* entry) {
  if (backing_ != nullptr) return backing_->Page(page);
  if (!entry->bytes) {
    entry->bytes = std::make_unique<uint8_t[]>(kPageSize);
    ++generation_;
  }
  return entry->bytes.get();
}

// The page's entry, or nullptr where it is not mapped.
const Memory::Page* Memory::Find(uint32_t page) const {
  const Leaf* leaf = directory_[page / kLeafPages].get();
  if (leaf == nullptr || !leaf->pages[page % kLeafPages].mapped) return nullptr;
  return &leaf->pages[page % kLeafPages];
}

Memory::Page* Memory::Find(uint32_t page) {
  return const_cast<Page*>(static_cast<const Memory*>(this)->Find(page));
}

void Memory::Map(uint32_t first, uint32_t count, uint8_t permissions) {
  uint32_t run = first;  // of pages that are all mapped or all not, up to `page`
  bool run_mapped = false;
  const auto end_run = [&](uint32_t page) {
    if (backing_ == nullptr || page == run) return;
    if (run_mapped) {
      backing_->Protect(run, page - run, permissions);
    } else {
      backing_->Map(run, page - run, permissions);
    }
  };
  for (uint32_t page = first; page != first + count; ++page) {
    std::unique_ptr<Leaf>& leaf = directory_[page / kLeafPages];
    if (!leaf) leaf = std::make_unique<Leaf>();
    Page& entry = leaf->pages[page % kLeafPages];
    if (entry.mapped != run_mapped) {
      end_run(page);
      run = page;
      run_mapped = entry.mapped;
    }
    entry.permissions = permissions;
    if (!entry.mapped) mapped_bytes_ += kPageSize;
    entry.mapped = true;
  }
  end_run(first + count);
  peak_mapped_bytes_ = std::max(peak_mapped_bytes_, mapped_bytes_);
  ++generation_;
}

void Memory::Unmap(uint32_t first, uint32_t count) {
  for (uint32_t page = first; page != first + count; ++page) {
    Page* entry = Find(page);
    if (entry == nullptr) continue;
    *entry = Page();
    mapped_bytes_ -= kPageSize;
  }
  if (backing_ != nullptr && count != 0) backing_->Unmap(first, count);
  ++generation_;
}

void Memory::Zero(uint32_t first, uint32_t count) {
  if (backing_ != nullptr) {
    backing_->Zero(first, count);
  } else {
    for (uint32_t page = first; page != first + count; ++page) Find(page)->bytes.reset();
  }
  ++generation_;
}

bool Memory::Check(uint32_t address, uint32_t size, uint8_t permissions, uint32_t* fault) const {
  return CheckRange(address, size, permissions, fault);
}

bool Memory::CheckRange(uint32_t address, uint64_t size, uint8_t permissions,
                        uint32_t* fault) const {
  const uint64_t end = uint64_t{address} + size;
  for (uint64_t at = address; at < end; at += BytesInPage(at, end)) {
    const Page* page = at < kAddressSpace ? Find(static_cast<uint32_t>(at / kPageSize)) : nullptr;
    if (page == nullptr || (page->permissions & permissions) != permissions) {
      *fault = static_cast<uint32_t>(at);
      return false;
    }
  }
  return true;
}

bool Memory::Read(uint32_t address, std::span<uint8_t> to, uint32_t* fault) const {
  const uint64_t end = uint64_t{address} + to.size();
  if (!CheckRange(address, to.size(), kRead, fault)) return false;
  uint8_t* out = to.data();
  for (uint64_t at = address; at < end;) {
    const uint32_t size = BytesInPage(at, end);
    const uint32_t page = static_cast<uint32_t>(at / kPageSize);
    std::memcpy(out, Bytes(page, *Find(page)) + at % kPageSize, size);
    out += size;
    at += size;
  }
  return true;
}

bool Memory::Write(uint32_t address, std::span<const uint8_t> from, uint32_t* fault) {
  if (!CheckRange(address, from.size(), kWrite, fault)) return false;
  Copy(address, from);
  return true;
}

void Memory::Initialize(uint32_t address, std::span<const uint8_t> from) {
  uint32_t fault;
  if (backing_ == nullptr || CheckRange(address, from.size(), kWrite, &fault)) {
    return Copy(address, from);
  }
  // The host keeps to the permissions: they are lifted meanwhile, page by page, since they may
  // differ.
  const uint32_t first = address / kPageSize;
  const uint32_t last = static_cast<uint32_t>((uint64_t{address} + from.size() - 1) / kPageSize);
  backing_->Protect(first, last - first + 1, kRead | kWrite);
  Copy(address, from);
  for (uint32_t page = first; page <= last;) {
    const uint8_t permissions = Find(page)->permissions;
    const uint32_t run = page;
    while (page <= last && Find(page)->permissions == permissions) ++page;
    backing_->Protect(run, page - run, permissions);
  }
}

void Memory::Copy(uint32_t address, std::span<const uint8_t> from) {
  const uint64_t end = uint64_t{address} + from.size();
  const uint8_t* in = from.data();
  for (uint64_t at = address; at < end;) {
    const uint32_t size = BytesInPage(at, end);
    const uint32_t page = static_cast<uint32_t>(at / kPageSize);
    std::memcpy(OwnBytes(page, Find(page)) + at % kPageSize, in, size);
    in += size;
    at += size;
  }
}

const uint8_t* Memory::ReadablePage(uint32_t page, uint8_t permissions) const {
  const Page* entry = Find(page);
  if (entry == nullptr || (entry->permissions & permissions) != permissions) return nullptr;
  return Bytes(page, *entry);
}

uint8_t* Memory::WritablePage(uint32_t page) {
  Page* entry = Find(page);
  if (entry == nullptr || (entry->permissions & kWrite) == 0) return nullptr;
  return OwnBytes(page, entry);
}

template <typename T>
bool Memory::Load(uint32_t address, T* value, uint32_t* fault) const {
  std::array<uint8_t, sizeof(T)> bytes;
  if (!Read(address, bytes, fault)) return false;
  T result = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    result = static_cast<T>(result | static_cast<T>(bytes[i]) << (8 * i));
  }
  *value = result;
  return true;
}

template <typename T>
bool Memory::Store(uint32_t address, T value, uint32_t* fault) {
  std::array<uint8_t, sizeof(T)> bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
  return Write(address, bytes, fault);
}

template bool Memory::Load(uint32_t, uint8_t*, uint32_t*) const;
template bool Memory::Load(uint32_t, uint16_t*, uint32_t*) const;
template bool Memory::Load(uint32_t, uint32_t*, uint32_t*) const;
template bool Memory::Load(uint32_t, uint64_t*, uint32_t*) const;
template bool Memory::Store(uint32_t, uint8_t, uint32_t*);
template bool Memory::Store(uint32_t, uint16_t, uint32_t*);
template bool Memory::Store(uint32_t, uint32_t, uint32_t*);
template bool Memory::Store(uint32_t, uint64_t, uint32_t*);

}  // namespace vx
