#include "archive/fair_places.h"

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

// Somebody who waits for a place on a thread of his own.
class Waiting {
 public:
  Waiting(FairPlaces& places, const std::string& client)
      : got_([&places, client] { return places.Take(Of(client)); }) {
    const size_t before = places.waiting();
    future_ = std::async(std::launch::async, got_);
    while (places.waiting() == before) absl::SleepFor(absl::Milliseconds(1));
  }
  bool has_place() const {
    return future_.wait_for(std::chrono::milliseconds(100)) == std::future_status::ready;
  }
  void Get() { EXPECT_TRUE(future_.get().ok()); }

 private:
  std::function<absl::Status()> got_;
  std::future<absl::Status> future_;
};

TEST(FairPlaces, GoToTheClientWithTheFewest) {
  FairPlaces places({.places = 2, .waiting = 10});
  ASSERT_TRUE(places.Take(Of("greedy")).ok());
  ASSERT_TRUE(places.Take(Of("greedy")).ok());
  Waiting third(places, "greedy"), modest(places, "modest");
  places.GiveBack("greedy");
  modest.Get();
  EXPECT_FALSE(third.has_place());
  places.GiveBack("modest");
  third.Get();
  EXPECT_EQ(places.taken(), 2u);
  EXPECT_EQ(places.waiting(), 0u);
}

TEST(FairPlaces, GoToTheFirstAmongEquals) {
  FairPlaces places({.places = 1, .waiting = 10});
  ASSERT_TRUE(places.Take(Of("a")).ok());
  Waiting first(places, "c"), second(places, "b");
  places.GiveBack("a");
  first.Get();
  EXPECT_FALSE(second.has_place());
  places.GiveBack("c");
  second.Get();
}

TEST(FairPlaces, AreToBeGivenUpForWhoeverHasFewer) {
  FairPlaces places({.places = 2, .waiting = 10});
  ASSERT_TRUE(places.Take(Of("a")).ok());
  ASSERT_TRUE(places.Take(Of("a")).ok());
  EXPECT_FALSE(places.MustGiveWay("a"));
  Waiting again(places, "a");
  EXPECT_FALSE(places.MustGiveWay("a"));  // he waits for himself
  Waiting other(places, "b");
  EXPECT_TRUE(places.MustGiveWay("a"));
  places.GiveBack("a");
  other.Get();
  EXPECT_FALSE(places.MustGiveWay("a"));
  EXPECT_FALSE(places.MustGiveWay("b"));
  places.GiveBack("a");
  again.Get();
}

TEST(FairPlaces, AreLeftForOthers) {
  FairPlaces places({.places = 3, .of_a_client = 2});
  ASSERT_TRUE(places.Take(Of("greedy")).ok());
  ASSERT_TRUE(places.Take(Of("greedy")).ok());
  Waiting third(places, "greedy");
  EXPECT_TRUE(places.Take(Of("modest")).ok());
  places.GiveBack("modest");
  EXPECT_FALSE(third.has_place());
  places.GiveBack("greedy");
  third.Get();
}

TEST(FairPlaces, AreRefusedWhereTooManyWait) {
  FairPlaces places({.places = 1, .waiting = 1});
  ASSERT_TRUE(places.Take(Of("a")).ok());
  Waiting waiting(places, "a");
  EXPECT_EQ(ReasonName(places.Take(Of("b"))), "OVERLOADED");
  CallContext hurried = Of("b");
  hurried.deadline = absl::Now();
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(places.TakeAgain(hurried)));  // waited, in spite of the queue
  EXPECT_EQ(places.waiting(), 1u);
  places.GiveBack("a");
  waiting.Get();
}

TEST(FairPlaces, AreNotWaitedForByWhoIsGone) {
  FairPlaces places({.places = 1, .waiting = 10});
  ASSERT_TRUE(places.Take(Of("a")).ok());
  CallContext gone = Of("b");
  gone.cancelled = [] { return true; };
  EXPECT_TRUE(absl::IsCancelled(places.Take(gone)));
  EXPECT_EQ(places.waiting(), 0u);
  places.GiveBack("a");
  EXPECT_TRUE(places.Take(Of("c")).ok());
}

}  // namespace
}  // namespace vxa
