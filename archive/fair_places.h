// So many places for what costs much, such as turns to run a decoder, shared fairly among clients.
#ifndef ARCHIVE_FAIR_PLACES_H_
#define ARCHIVE_FAIR_PLACES_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "archive/archive.h"

namespace vxa {

// Whenever a place is free, it goes to the client that has the fewest of those who wait, among
// equals to who has waited longest. Thread-safe.
class FairPlaces {
 public:
  struct Limits {
    size_t places = 1;
    size_t of_a_client = SIZE_MAX;  // so that there are some for others who come
    size_t waiting = SIZE_MAX;      // further ones are refused
  };
  explicit FairPlaces(const Limits& limits) : limits_(limits), free_(limits.places) {}

  // Waits for a place, which is the client's (CallContext::client) until it is given back.
  // OVERLOADED if too many wait; CANCELLED or DEADLINE_EXCEEDED as the context says.
  absl::Status Take(const CallContext& context) { return Wait(context, limits_.waiting); }
  // The same for who had one before: any number may wait so.
  absl::Status TakeAgain(const CallContext& context) { return Wait(context, SIZE_MAX); }
  void GiveBack(const std::string& client);

  // Whether somebody waits who has fewer places than this client. If those who have one ask now and
  // then, and give it back, nobody keeps others waiting for long.
  bool MustGiveWay(const std::string& client);

  size_t taken();
  size_t waiting();

 private:
  struct Waiter {
    const std::string& client;
    bool has_place = false;
    std::condition_variable changed;
  };

  absl::Status Wait(const CallContext& context, size_t most_waiting);
  std::list<Waiter*>::iterator Next();
  size_t HeldBy(const std::string& client) const;
  void HandOut();

  const Limits limits_;
  std::mutex mutex_;  // guards what follows
  size_t free_;
  std::list<Waiter*> waiting_;  // in the order they came
  std::map<std::string, size_t> held_;
};

}  // namespace vxa

#endif  // ARCHIVE_FAIR_PLACES_H_
