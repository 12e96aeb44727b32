// The canaries tell: each is touched on purpose. Without this, a fuzzer that finds nothing says
// nothing.
#include "tests/fuzz/canaries.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

#include "vxengine/translator/context.h"

namespace vxa::fuzz {
namespace {

using ::testing::ExitedWithCode;
using ::testing::KilledBySignal;

// In a process of its own, what they see of what `touch` does.
#define EXPECT_SEEN(touch, what)                        \
  EXPECT_EXIT(                                          \
      {                                                 \
        Canaries canaries;                              \
        touch;                                          \
        const std::string changes = canaries.Changes(); \
        asm volatile("cld");                            \
        fprintf(stderr, "[%s]", changes.c_str());       \
        exit(0);                                        \
      },                                                \
      ExitedWithCode(0), what)

volatile uint8_t* Pointer(uint64_t address) { return reinterpret_cast<uint8_t*>(address); }

TEST(CanariesTest, SeeNothingWhereThereIsNothing) {
  EXPECT_SEEN(, "\\[\\]");
  EXPECT_SEEN(close(dup(0)), "\\[\\]");
}

TEST(CanariesTest, SeeMemory) {
  EXPECT_SEEN(canaries.pages()[54321] ^= 1, "\\[memory");
  EXPECT_EXIT(
      {
        Canaries canaries;
        *Pointer(vx::kGuestSpan) = 1;
      },
      KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(
      {
        Canaries canaries;
        *Pointer((uint64_t{64} << 30) - 1);
      },
      KilledBySignal(SIGSEGV), "");
}

TEST(CanariesTest, SeeDescriptorsAndFiles) {
  EXPECT_SEEN(EXPECT_GT(open("/proc/self/exe", O_RDONLY), 2), "\\[a file has been opened");
  EXPECT_SEEN(EXPECT_GT(open("/", O_RDONLY), 2), "\\[a file has been opened");
  EXPECT_SEEN(lseek(canaries.descriptor(), 0, SEEK_SET), "\\[a descriptor has been used");
  EXPECT_SEEN(EXPECT_EQ(pwrite(canaries.descriptor(), "x", 1, 77), 1),
              "\\[a descriptor has been used");
  EXPECT_SEEN(std::ofstream(canaries.folder() + "/more"), "\\[a folder");
  EXPECT_SEEN(chmod((canaries.folder() + "/file").c_str(), 0400), "\\[a folder");
}

TEST(CanariesTest, SeeTheThreadsState) {
  const uint32_t mxcsr = 0x9f80;
  EXPECT_SEEN(asm volatile("ldmxcsr %0" ::"m"(mxcsr)), "\\[MXCSR");
  const uint16_t control = 0x27f;
  EXPECT_SEEN(asm volatile("fldcw %0" ::"m"(control)), "\\[MXCSR");
  EXPECT_SEEN(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1000), "\\[MXCSR");
}

TEST(CanariesTest, SeeSystemCalls) {
  EXPECT_EXIT(
      {
        Canaries canaries;
        void* const code =
            mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        // mov eax, 39; syscall; ret: getpid.
        memcpy(code, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8);
        mprotect(code, 4096, PROT_READ | PROT_EXEC);
        reinterpret_cast<void (*)()>(code)();
      },
      KilledBySignal(SIGABRT), "FOUND: system call 39");
}

}  // namespace
}  // namespace vxa::fuzz
