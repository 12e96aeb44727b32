#include "archive/decode_turns.h"

#include <functional>
#include <future>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "archive/errors.h"
#include "gtest/gtest.h"

namespace vxa {
namespace {

CallContext Of(const std::string& client) { return {.client = client}; }

// Somebody who waits for a turn on a thread of his own.
class Waiting {
 public:
  Waiting(DecodeTurns& turns, const std::string& client)
      : got_([&turns, client] { return turns.Take(Of(client)); }) {
    const int before = turns.load().waiting;
    future_ = std::async(std::launch::async, got_);
    while (turns.load().waiting == before) absl::SleepFor(absl::Milliseconds(1));
  }
  bool has_turn() const {
    return future_.wait_for(std::chrono::milliseconds(100)) == std::future_status::ready;
  }
  void Get() { EXPECT_TRUE(future_.get().ok()); }

 private:
  std::function<absl::Status()> got_;
  std::future<absl::Status> future_;
};

TEST(DecodeTurns, GoToTheClientWithTheFewest) {
  DecodeTurns turns(2, 10);
  ASSERT_TRUE(turns.Take(Of("greedy")).ok());
  ASSERT_TRUE(turns.Take(Of("greedy")).ok());
  Waiting third(turns, "greedy"), modest(turns, "modest");
  turns.GiveBack("greedy");
  modest.Get();
  EXPECT_FALSE(third.has_turn());
  turns.GiveBack("modest");
  third.Get();
  EXPECT_EQ(turns.load().running, 2);
  EXPECT_EQ(turns.load().waiting, 0);
}

TEST(DecodeTurns, GoToTheFirstAmongEquals) {
  DecodeTurns turns(1, 10);
  ASSERT_TRUE(turns.Take(Of("a")).ok());
  Waiting first(turns, "c"), second(turns, "b");
  turns.GiveBack("a");
  first.Get();
  EXPECT_FALSE(second.has_turn());
  turns.GiveBack("c");
  second.Get();
}

TEST(DecodeTurns, AreToBeGivenUpForWhoeverHasFewer) {
  DecodeTurns turns(2, 10);
  ASSERT_TRUE(turns.Take(Of("a")).ok());
  ASSERT_TRUE(turns.Take(Of("a")).ok());
  EXPECT_FALSE(turns.MustGiveWay("a"));
  Waiting again(turns, "a");
  EXPECT_FALSE(turns.MustGiveWay("a"));  // he waits for himself
  Waiting other(turns, "b");
  EXPECT_TRUE(turns.MustGiveWay("a"));
  turns.GiveBack("a");
  other.Get();
  EXPECT_FALSE(turns.MustGiveWay("a"));
  EXPECT_FALSE(turns.MustGiveWay("b"));
  turns.GiveBack("a");
  again.Get();
}

TEST(DecodeTurns, AreRefusedWhereTooManyWait) {
  DecodeTurns turns(1, 1);
  ASSERT_TRUE(turns.Take(Of("a")).ok());
  Waiting waiting(turns, "a");
  EXPECT_EQ(ReasonName(turns.Take(Of("b"))), "OVERLOADED");
  CallContext hurried = Of("b");
  hurried.deadline = absl::Now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(turns.TakeAgain(hurried)));  // waited, in spite of the queue
  EXPECT_EQ(turns.load().waiting, 1);
  turns.GiveBack("a");
  waiting.Get();
}

TEST(DecodeTurns, AreNotWaitedForByWhoIsGone) {
  DecodeTurns turns(1, 10);
  ASSERT_TRUE(turns.Take(Of("a")).ok());
  CallContext gone = Of("b");
  gone.cancelled = [] { return true; };
  EXPECT_TRUE(absl::IsCancelled(turns.Take(gone)));
  EXPECT_EQ(turns.load().waiting, 0);
  turns.GiveBack("a");
  EXPECT_TRUE(turns.Take(Of("c")).ok());
}

}  // namespace
}  // namespace vxa
