#include "archive/ingest_budget.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace vxa {
namespace {

TEST(IngestBudgetTest, LetsWaitersGoWhenTheirCallerHangsUpOrTheirTimeIsOver) {
  IngestBudget budget(IngestBudget::kLeast);
  IngestBudget::Share holder(budget);
  ASSERT_TRUE(holder.TakeLarge({}).ok());
  IngestBudget::Share waiter(budget);
  ASSERT_TRUE(waiter.TakeSmall({}).ok());
  EXPECT_TRUE(absl::IsCancelled(waiter.TakeLarge({.cancelled = [] { return true; }})));
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      waiter.TakeLarge({.deadline = absl::Now() + absl::Milliseconds(1)})));
}

TEST(IngestBudgetTest, GivesBackWhatAShareHeld) {
  IngestBudget budget(IngestBudget::kLeast);
  for (int i = 0; i < 100; ++i) {
    IngestBudget::Share share(budget);
    ASSERT_TRUE(share.TakeSmall({}).ok());
    ASSERT_TRUE(share.TakeLarge({}).ok());
  }
}

TEST(IngestBudgetTest, GetsEveryoneThroughHoweverManyOutgrowTheirSmallShares) {
  IngestBudget budget(IngestBudget::kLeast);
  std::atomic<int> large = 0, most = 0, done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 40; ++t) {
    threads.emplace_back([&] {
      IngestBudget::Share share(budget);
      ASSERT_TRUE(share.TakeSmall({}).ok());
      ASSERT_TRUE(share.TakeLarge({}).ok());
      const int now = ++large;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::yield();
      --large;
      ++done;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 40);
  EXPECT_LE(most * IngestBudget::kLarge, IngestBudget::kLeast);
}

}  // namespace
}  // namespace vxa
