// Turns to run a decoder: few at once, shared fairly among clients.
#ifndef ARCHIVE_DECODE_TURNS_H_
#define ARCHIVE_DECODE_TURNS_H_

#include <limits.h>

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "archive/archive.h"

namespace vxa {

// Whenever a turn is free, it goes to the client that has the fewest of those who wait, among
// equals to who has waited longest. Who has one is to give it back when somebody with fewer waits
// (MustGiveWay), so that a client who runs ever so many decoders, ever so long, has his share only.
// Thread-safe.
class DecodeTurns {
 public:
  // At most `turns` are given at once, and `queue` may wait for their first.
  DecodeTurns(int turns, int queue) : free_(turns), queue_(queue) {}

  // Waits for a turn, which is the client's (CallContext::client) until it is given back.
  // OVERLOADED if too many wait already; CANCELLED or DEADLINE_EXCEEDED as the context says.
  absl::Status Take(const CallContext& context) { return Wait(context, queue_); }
  // The same for a decode that has begun: there may be any number of them.
  absl::Status TakeAgain(const CallContext& context) { return Wait(context, INT_MAX); }
  void GiveBack(const std::string& client);

  // Whether somebody waits who has fewer turns than this client.
  bool MustGiveWay(const std::string& client);

  DecodeLoad load();

 private:
  struct Waiter {
    const std::string& client;
    bool has_turn = false;
    std::condition_variable changed;
  };

  absl::Status Wait(const CallContext& context, int queue);
  std::list<Waiter*>::iterator Next();
  int HeldBy(const std::string& client) const;
  void HandOut();

  std::mutex mutex_;  // guards what follows
  int free_;
  const int queue_;
  std::list<Waiter*> waiting_;  // in the order they came
  std::map<std::string, int> held_;
};

}  // namespace vxa

#endif  // ARCHIVE_DECODE_TURNS_H_
