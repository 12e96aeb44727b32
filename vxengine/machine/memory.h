// A guest's memory: a flat 32-bit address space of 4 KiB pages with permissions, nothing mapped at
// first.
//
// Mapped pages read as zero until written, and take host memory only then. Integers in guest memory
// are little-endian on every host. Not thread-safe: a Memory belongs to the thread that runs its
// guest.
#ifndef VXENGINE_MACHINE_MEMORY_H_
#define VXENGINE_MACHINE_MEMORY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "vxengine/abi.h"

namespace vx {

class Memory {
 public:
  // What may be done with a page. A bit set; executable pages are readable, none is writable and
  // executable.
  enum Permission : uint8_t { kNone = 0, kRead = 1, kWrite = 2, kExecute = 4 };

  static constexpr uint32_t kPageSize = VX_PAGE_SIZE;

  // Host memory that holds a whole guest's at fixed places, for engines whose code reaches it
  // without asking: guest address a lies at host address base() + a. It gives its pages the
  // permissions of the guest's, but for kExecute. Where the host has too little memory these throw
  // std::bad_alloc.
  class Backing {
   public:
    virtual ~Backing() = default;
    virtual uintptr_t base() const = 0;  // may be 0
    // `count` pages from `first` on, none of which is mapped; they become zero.
    virtual void Map(uint32_t first, uint32_t count, uint8_t permissions) = 0;
    // Mapped ones, which keep their bytes.
    virtual void Protect(uint32_t first, uint32_t count, uint8_t permissions) = 0;
    virtual void Unmap(uint32_t first, uint32_t count) = 0;
    // Mapped and writable ones, which become zero again.
    virtual void Zero(uint32_t first, uint32_t count) = 0;

    uint8_t* Page(uint32_t page) const;
  };

  // Without a backing, which else outlives it, each page has host memory of its own once written.
  explicit Memory(Backing* backing = nullptr);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Maps or re-permits `count` pages from page number `first` (address / kPageSize). New pages are
  // zero; those mapped before keep their bytes.
  void Map(uint32_t first, uint32_t count, uint8_t permissions);

  // Unmaps: the bytes are gone, and host memory is given back.
  void Unmap(uint32_t first, uint32_t count);

  // Makes pages zero again. REQUIRES: they are mapped and writable.
  void Zero(uint32_t first, uint32_t count);

  // True if all of [address, address + size) has every permission asked for; else `fault` is the
  // first address that hasn't. A range that wraps past 4 GiB faults at the latest at 0. True for
  // size 0.
  bool Check(uint32_t address, uint32_t size, uint8_t permissions, uint32_t* fault) const;

  // Copies between guest and host. On a fault nothing is moved and `fault` is the first bad
  // address.
  bool Read(uint32_t address, std::span<uint8_t> to, uint32_t* fault) const;
  bool Write(uint32_t address, std::span<const uint8_t> from, uint32_t* fault);

  // Copies for the loader: whatever the permissions. REQUIRES: the range is mapped.
  void Initialize(uint32_t address, std::span<const uint8_t> from);

  // A host pointer to the page's kPageSize bytes if it has the permissions, else nullptr. Valid
  // until the page is unmapped or, for one got without kWrite, until it is next written. With
  // kWrite the page gets host memory of its own. For the interpreter's and the system calls' fast
  // paths.
  const uint8_t* ReadablePage(uint32_t page, uint8_t permissions) const;
  uint8_t* WritablePage(uint32_t page);

  // Little-endian integers of 1, 2, 4 or 8 bytes at any alignment, pages crossed where need be. On
  // a fault false, nothing is stored and `fault` is the first inaccessible byte.
  template <typename T>
  bool Load(uint32_t address, T* value, uint32_t* fault) const;
  template <typename T>
  bool Store(uint32_t address, T value, uint32_t* fault);

  // Changes whenever a pointer that ReadablePage or WritablePage gave out, or a refusal of theirs,
  // may have become wrong: keepers of such pointers compare it.
  uint64_t generation() const { return generation_; }

  // Bytes of all pages mapped now, and at their most since it was made or RestartPeak called.
  uint64_t mapped_bytes() const { return mapped_bytes_; }
  uint64_t peak_mapped_bytes() const { return peak_mapped_bytes_; }
  void RestartPeak() { peak_mapped_bytes_ = mapped_bytes_; }

 private:
  struct Page;
  struct Leaf;

  bool CheckRange(uint32_t address, uint64_t size, uint8_t permissions, uint32_t* fault) const;
  const Page* Find(uint32_t page) const;
  Page* Find(uint32_t page);
  const uint8_t* Bytes(uint32_t page, const Page& entry) const;
  uint8_t* OwnBytes(uint32_t page, Page* entry);
  void Copy(uint32_t address, std::span<const uint8_t> from);

  Backing* const backing_;
  std::array<std::unique_ptr<Leaf>, 1024> directory_;
  uint64_t generation_ = 0;
  uint64_t mapped_bytes_ = 0;
  uint64_t peak_mapped_bytes_ = 0;
};

}  // namespace vx

#endif  // VXENGINE_MACHINE_MEMORY_H_
